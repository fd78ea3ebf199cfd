"""Bona fide recordings with spoofed seconds at known places, and what is found of them."""

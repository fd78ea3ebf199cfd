"""Untrusted recordings and streams -> 4 s windows of 16 kHz mono int16. Imports errors and settings."""

"""Drift: how far recent scores lie from those that a model was calibrated on."""

"""Untrusted photos -> the uint8 RGB array of a face model, its faces and its quality."""

"""Judges archives: many stored recordings or photos, on one machine or on a cluster of Ray; see docs/scan.md."""

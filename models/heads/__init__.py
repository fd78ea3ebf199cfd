"""Detectors of research papers as torch modules, and what tells their published weight files apart.

The attributes of the modules bear the names that the published files give their tensors, so that keys need no table.
"""

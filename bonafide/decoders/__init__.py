"""Untrusted media decoded in processes that can be killed: recordings to windows, photos to the pixels of a model."""

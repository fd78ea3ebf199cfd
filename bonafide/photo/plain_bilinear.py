"""Bilinear resizing that reads four pixels for each one it makes, as OpenCV's `resize` does by default. Numpy alone.

Models that were trained behind it know the roughness that Pillow's wider filter removes when it makes pictures smaller.
"""

import numpy as np
from numpy.typing import NDArray


def resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """uint8 `(rows, columns, 3)` -> uint8 `(height, width, 3)`, rounded."""
    above, below, down = _places(height, pixels.shape[0])
    left, right, across = _places(width, pixels.shape[1])
    rows = [pixels[index].astype(np.float32) for index in (above, below)]
    across, down = across[np.newaxis, :, np.newaxis], down[:, np.newaxis, np.newaxis]
    upper, lower = (row[:, left] * (1 - across) + row[:, right] * across for row in rows)
    return np.rint(upper * (1 - down) + lower * down).astype(np.uint8)


def _places(count: int, edge: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each of `count` new pixels along an edge: the pixels on both sides of its middle, and the second's share."""
    middles = (np.arange(count) + 0.5) * edge / count - 0.5
    first = np.floor(middles)
    share = (middles - first).astype(np.float32)
    at = first.astype(np.intp)
    return np.clip(at, 0, edge - 1), np.clip(at + 1, 0, edge - 1), share

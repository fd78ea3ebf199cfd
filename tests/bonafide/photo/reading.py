"""Photos read within the limits of most tests, and compared."""

import numpy as np
from PIL import Image

from bonafide.photo.image import ImageLimits, read_image

LIMITS = ImageLimits(max_bytes=16 * 2**20, max_pixels=50_000_000)


def read(data: bytes) -> np.ndarray:
    image = read_image(data, LIMITS)
    assert image.mode == "RGB"
    return np.asarray(image)


def difference(a: np.ndarray, b: Image.Image) -> float:
    return float(np.abs(a.astype(int) - np.asarray(b).astype(int)).mean())

"""One simulated camera for every class, so that only the attack itself distinguishes live from fake.

In: the light that reaches the sensor, one value per pixel and colour. Out: the JPEG file a phone would
write. Independent of faces and attacks.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Plane = NDArray[np.float32]

_GREEN_KERNEL = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
_RED_BLUE_KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4


def to_linear(srgb: Plane) -> Plane:
    """Undoes the display gamma: sRGB values in 0..1 become light in 0..1."""
    return np.asarray(np.power(np.clip(srgb, 0, 1), 2.2), np.float32)


def to_srgb(linear: Plane) -> Plane:
    """Applies the display gamma: light in 0..1 becomes sRGB values in 0..1."""
    return np.asarray(np.power(np.clip(linear, 0, 1), 1 / 2.2), np.float32)


def photograph(light: Plane, rng: np.random.Generator) -> bytes:
    """Takes the picture: lens, exposure, white balance, Bayer sensor, noise, sharpening, JPEG.

    Args:
        light: float32 (height, width, 3), linear, about 0..1; the exposure evens out its level.
        rng: Draws the camera; the same state gives the same bytes.

    Returns:
        The JPEG file.
    """
    image = _lens(light, rng)
    image *= np.float32(rng.uniform(0.16, 0.34) / max(float(image.mean()), 1e-3))
    gains = np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
    image = image * gains
    image = np.clip(image, 0, 1.2)
    if rng.random() < 0.8:
        image = _bayer(image)
    shot, read = np.exp(rng.uniform(np.log(2e-4), np.log(6e-3))), np.exp(rng.uniform(np.log(1e-3), np.log(1.5e-2)))
    deviation = np.sqrt(np.maximum(image, 0) * shot + read * read * 0.3)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    if rng.random() < 0.5:
        # Phones denoise; the remaining noise is coarser and weaker.
        noise = ndimage.gaussian_filter(noise, (0.7, 0.7, 0)) * np.float32(1.3)
    image = to_srgb(image + noise * deviation.astype(np.float32))
    amount = rng.uniform(-0.1, 0.8)
    if amount > 0:
        soft = ndimage.gaussian_filter(image, (1.0, 1.0, 0))
        image = image + np.float32(amount) * (image - soft)
    contrast = np.float32(rng.uniform(0.9, 1.15))
    image = (image - 0.45) * contrast + 0.45
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * np.float32(rng.uniform(0.75, 1.2))
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(62, 97)), subsampling=int(rng.choice([0, 2])))
    return buffer.getvalue()


def _lens(light: Plane, rng: np.random.Generator) -> Plane:
    """Blur of the lens and of the hand, and darker corners."""
    sigma = float(rng.choice([rng.uniform(0.25, 0.5), rng.uniform(0.5, 1.1)], p=[0.75, 0.25]))
    image = ndimage.gaussian_filter(light, (sigma, sigma, 0))
    if rng.random() < 0.15:
        axis = int(rng.integers(2))
        image = ndimage.uniform_filter1d(image, int(rng.integers(2, 4)), axis=axis)
    height, width = light.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    fall = 1 - np.float32(rng.uniform(0, 0.25)) * (x * x + y * y) / 2
    return np.asarray(image * fall[:, :, None], np.float32)


def _bayer(image: Plane) -> Plane:
    """Keeps one colour per pixel as sensors do and interpolates the others: fine patterns turn colourful."""
    height, width = image.shape[:2]
    masks = np.zeros((3, height, width), np.float32)
    masks[0, 0::2, 0::2] = 1
    masks[1, 0::2, 1::2] = 1
    masks[1, 1::2, 0::2] = 1
    masks[2, 1::2, 1::2] = 1
    planes = [
        ndimage.convolve(image[:, :, c] * masks[c], kernel, mode="mirror")
        for c, kernel in enumerate((_RED_BLUE_KERNEL, _GREEN_KERNEL, _RED_BLUE_KERNEL))
    ]
    return np.stack(planes, axis=2)

"""Faces varied as cameras, lenses, files and displays vary them, without a change of what they are."""

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

_FILTERS: Final = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.BOX)


def varied(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """A copy of other light, sharpness, noise and file; nothing that its class could be told by is added.

    Args:
        picture: uint8 (side, side, 3), RGB.
        rng: draws all of it.

    Returns:
        The same shape.
    """
    light: Floats = picture.astype(np.float32) / np.float32(255)
    for chance, change in (
        (0.9, _other_light),
        (0.6, _other_sharpness),
        (0.3, _with_noise),
        (0.15, _with_pattern),
        (0.15, _with_shine),
    ):
        if rng.random() < chance:
            light = change(light, rng)
    pixels = np.round(np.clip(light, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.35:
        pixels = _as_jpeg(pixels, int(rng.integers(30, 95)))
    return pixels


def _other_light(light: Floats, rng: np.random.Generator) -> Floats:
    """Exposure, white balance, gamma, saturation, contrast."""
    light = light * np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.07, 3)).astype(np.float32)
    if rng.random() < 0.4:
        light = np.clip(light, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.25)))
    if rng.random() < 0.4:
        grey = light.mean(2, keepdims=True)
        light = grey + (light - grey) * np.float32(rng.uniform(0.4, 1.4))
    if rng.random() < 0.3:
        light = (light - 0.5) * np.float32(rng.uniform(0.6, 1.3)) + np.float32(0.5 + rng.normal(0, 0.06))
    return light


def _other_sharpness(light: Floats, rng: np.random.Generator) -> Floats:
    """Blurred, made smaller and larger again, or sharpened."""
    kind = rng.integers(3)
    sigma = rng.uniform(0.5, 3.0)
    soft = ndimage.gaussian_filter(light, (sigma, sigma, 0))
    if kind == 0:
        return np.asarray(soft, np.float32)
    if kind == 1:
        return np.asarray(light + np.float32(rng.uniform(0.3, 1.5)) * (light - soft), np.float32)
    side = int(rng.integers(50, 200))
    image = Image.fromarray(np.round(np.clip(light, 0, 1) * 255).astype(np.uint8))
    down, up = (_FILTERS[index] for index in rng.integers(0, len(_FILTERS), 2))
    again = image.resize((side, side), down).resize(image.size, up)
    return np.asarray(again, np.float32) / np.float32(255)


def _with_noise(light: Floats, rng: np.random.Generator) -> Floats:
    """Noise of a sensor, in half of all cases as coarse as what a phone's denoising leaves."""
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    if rng.random() < 0.5:
        sigma = rng.uniform(0.4, 1.2)
        noise = ndimage.gaussian_filter(noise, (sigma, sigma, 0)) * np.float32(2)
    noisy: Floats = light + noise * np.float32(np.exp(rng.uniform(np.log(0.004), np.log(0.06))))
    return noisy


def _with_pattern(light: Floats, rng: np.random.Generator) -> Floats:
    """A weak regular pattern, grey or coloured."""
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]].astype(np.float32)
    rate, angle = np.exp(rng.uniform(np.log(0.02), np.log(0.4))), rng.uniform(0, np.pi)
    phases = rng.uniform(0, 2 * np.pi, 3) * rng.integers(0, 2)
    along = 2 * np.pi * rate * (np.cos(angle) * columns + np.sin(angle) * rows)
    waves = np.sin(along[..., None] + phases).astype(np.float32)
    patterned: Floats = light * (1 + np.float32(rng.uniform(0.01, 0.12)) * waves)
    return patterned


def _with_shine(light: Floats, rng: np.random.Generator) -> Floats:
    """Light that falls off to one side, and a grey that lies over everything."""
    rows, columns = np.mgrid[-1 : 1 : light.shape[0] * 1j, -1 : 1 : light.shape[1] * 1j].astype(np.float32)
    down, across = rng.normal(0, 0.15, 2).astype(np.float32)
    lifted = (rng.uniform(0, 0.15) * rng.uniform(0.6, 1, 3)).astype(np.float32)
    shining: Floats = light * (1 + down * rows + across * columns)[..., None] + lifted
    return shining


def _as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))

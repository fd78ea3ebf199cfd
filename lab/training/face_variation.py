"""Faces varied as cameras, lenses, files and displays vary them: a batch at a time, and never what they are."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

UNVARIED: Final = 0.12
"""Share of a batch that stays as it is."""
_REACH: Final = 6
"""Pixels to each side that a blur reads."""


def varied(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Copies of other light, sharpness, noise and size; nothing that a class could be told by is added.

    Args:
        pictures: float32 (n, 3, side, side), RGB, 0..1.
        rng: draws all of it.

    Returns:
        The same shape, in the same range.
    """
    light = _other_light(pictures, rng)
    for share, change in (
        (0.2, _blurred),
        (0.2, _sharpened),
        (0.12, _enlarged),
        (0.12, _enlarged),
        (0.2, _with_noise),
        (0.2, _with_noise),
        (0.15, _with_pattern),
        (0.2, _with_shine),
    ):
        light = _changed(light, share, change, rng)
    unvaried = _chosen(len(light), UNVARIED, rng)
    light[unvaried] = pictures[unvaried]
    return light.clamp(0, 1)


Change = Callable[[Tensor, np.random.Generator], Tensor]


def _chosen(count: int, share: float, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(np.flatnonzero(rng.random(count) < share))


def _changed(light: Tensor, share: float, change: Change, rng: np.random.Generator) -> Tensor:
    """With a share of the batch changed, in place."""
    places = _chosen(len(light), share, rng)
    if len(places):
        light[places] = change(light[places], rng)
    return light


def _uniform(rng: np.random.Generator, like: Tensor, low: float, high: float, channels: int = 1) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, (len(like), channels, 1, 1)).astype(np.float32))


def _normal(rng: np.random.Generator, like: Tensor, deviation: float, channels: int = 1) -> Tensor:
    return torch.from_numpy(rng.normal(0, deviation, (len(like), channels, 1, 1)).astype(np.float32))


def _other_light(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Exposure, white balance, gamma, saturation, contrast."""
    light = pictures * torch.exp(_normal(rng, pictures, 0.14) + _normal(rng, pictures, 0.08, 3))
    light = _changed(light, 0.4, lambda some, rng: some.clamp(1e-4, 1) ** torch.exp(_normal(rng, some, 0.28)), rng)
    light = _changed(light, 0.4, _other_saturation, rng)
    return _changed(light, 0.3, _other_contrast, rng)


def _other_saturation(light: Tensor, rng: np.random.Generator) -> Tensor:
    grey = light.mean(1, keepdim=True)
    return grey + (light - grey) * _uniform(rng, light, 0.3, 1.5)


def _other_contrast(light: Tensor, rng: np.random.Generator) -> Tensor:
    return (light - 0.5) * _uniform(rng, light, 0.6, 1.3) + 0.5 + _normal(rng, light, 0.06)


def _blurred(light: Tensor, rng: np.random.Generator) -> Tensor:
    """By Gaussians of different widths."""
    sigma = _uniform(rng, light, 0.4, 2.2).view(-1, 1)
    weights = torch.exp(-(torch.arange(-_REACH, _REACH + 1.0) ** 2) / (2 * sigma**2))
    weights = weights / weights.sum(1, keepdim=True)
    count, channels, side, _ = light.shape
    kernels = weights.repeat_interleave(channels, 0).view(count * channels, 1, 1, -1)
    planes = functional.pad(light.reshape(1, count * channels, side, side), (_REACH,) * 4, mode="reflect")
    planes = functional.conv2d(planes, kernels, groups=count * channels)
    planes = functional.conv2d(planes, kernels.transpose(2, 3), groups=count * channels)
    return planes.view(light.shape)


def _sharpened(light: Tensor, rng: np.random.Generator) -> Tensor:
    return light + _uniform(rng, light, 0.3, 1.5) * (light - _blurred(light, rng))


def _enlarged(light: Tensor, rng: np.random.Generator) -> Tensor:
    """Made smaller, and as large as before again."""
    side = light.shape[2]
    less = int(rng.integers(round(0.3 * side), round(0.85 * side)))
    small = functional.interpolate(light, size=(less, less), mode=("bilinear", "area")[rng.integers(2)])
    return functional.interpolate(small, size=(side, side), mode=("bilinear", "bicubic")[rng.integers(2)])


def _with_noise(light: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise of a sensor, in half of all cases as coarse as what a phone's denoising leaves."""
    noise = torch.from_numpy(rng.standard_normal(light.shape, dtype=np.float32))
    if rng.random() < 0.5:
        noise = functional.avg_pool2d(noise, 3, 1, 1) * 2.5
    return light + noise * torch.exp(_uniform(rng, light, math.log(0.004), math.log(0.06)))


def _with_pattern(light: Tensor, rng: np.random.Generator) -> Tensor:
    """A weak regular pattern, grey or coloured."""
    rows, columns = _axes(light.shape[2])
    angle = _uniform(rng, light, 0, math.pi)
    rate = torch.exp(_uniform(rng, light, math.log(0.03), math.log(0.45))) * light.shape[2] * math.pi
    phases = _uniform(rng, light, 0, 2 * math.pi, 3) * torch.from_numpy(rng.integers(0, 2, (len(light), 1, 1, 1)))
    waves = torch.sin(rate * (torch.cos(angle) * columns + torch.sin(angle) * rows) + phases)
    return light * (1 + _uniform(rng, light, 0.01, 0.12) * waves)


def _with_shine(light: Tensor, rng: np.random.Generator) -> Tensor:
    """Light that falls off to one side, and a grey that lies over everything."""
    rows, columns = _axes(light.shape[2])
    shining = light * (1 + _normal(rng, light, 0.15) * rows + _normal(rng, light, 0.15) * columns)
    return shining + _uniform(rng, light, 0, 0.15) * _uniform(rng, light, 0.6, 1, 3)


def _axes(side: int) -> tuple[Tensor, Tensor]:
    """Rows (1, 1, side, 1) and columns (1, 1, 1, side), from -1 to 1."""
    axis = torch.linspace(-1, 1, side)
    return axis.view(1, 1, -1, 1), axis.view(1, 1, 1, -1)

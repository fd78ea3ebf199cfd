"""Weights drawn by their keys, so that another program fills the same numbers into the same architecture."""

import functools
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.weights import State

_GAIN = 1.6
"""Keeps differences between inputs alive through many layers."""


def lively(shapes: Mapping[str, Sequence[int]], gain: float = _GAIN, *, quickly: bool = False) -> State:
    """Numbers for tensors of these keys and shapes; statistics and norms stay near what training leaves.

    Drawn `quickly` they are others than those that the original programs were given.
    """
    return {key: torch.from_numpy(_drawn(key, tuple(shape), gain, quickly)) for key, shape in shapes.items()}


def _drawn(key: str, shape: tuple[int, ...], gain: float, quickly: bool) -> NDArray[np.generic]:
    if key.endswith("num_batches_tracked"):
        return np.array(7, np.int64)
    seed = zlib.crc32(key.encode())
    if quickly:
        normal = np.random.default_rng(seed).standard_normal(shape, np.float32)
    else:
        normal = _as_for_the_originals(seed, shape)
    if key.endswith("running_var"):
        return 0.5 + np.abs(normal)
    if key.endswith("weight_g"):
        return 1 + 0.2 * np.abs(normal)
    if len(shape) == 1:
        return (1 + 0.2 * normal) if key.endswith("weight") else 0.2 * normal
    scaled: NDArray[np.float32] = normal * np.float32(gain / np.sqrt(np.prod(shape[1:])))
    return scaled


@functools.cache
def _as_for_the_originals(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Drawn once, as most files have the same body: that takes longer than to compute it."""
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def voices(count: int, samples: int) -> torch.Tensor:
    """(count, samples) float32 in -1..1: noise that swells, of another loudness and colour each."""
    drawn = np.random.RandomState(0).standard_normal((count, samples)).astype(np.float32)
    for row in range(1, count):
        drawn[row] = np.convolve(drawn[row], np.ones(3 * row, np.float32) / (3 * row), "same")
    time = np.arange(samples, dtype=np.float32) / 16_000
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * (2 + np.arange(count, dtype=np.float32))[:, None] * time)
    return torch.from_numpy((0.1 * drawn * swell).astype(np.float32))

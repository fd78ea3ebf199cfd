"""From windows at a recording's own rate to 16 kHz, 16 bit: float32 in, int16 out. Knows torchaudio only."""

from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.transforms import Resample  # type: ignore[import-untyped]

SAMPLE_RATE = 16_000
"""Samples per second of everything that a voice model is given."""

_MAX_TERM = 1024


def resample(windows: NDArray[np.float32], rate: int, new_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Resamples windows of equal length; a window's result does not depend on its neighbours, to the last bit.

    Each window is a convolution of its own: in one convolution for all, torch picks its kernel, and so its
    rounding, by the batch size. One by one costs the same time.

    Args:
        windows: float32 array (count, samples) at `rate`.
        rate: samples per second of `windows`.
        new_rate: samples per second wanted.

    Returns:
        float32 array (count, round(samples * new_rate / rate)).
    """
    length = round(windows.shape[1] * new_rate / rate)
    ratio = _ratio(rate, new_rate)
    if not len(windows):
        return np.zeros((0, length), dtype=np.float32)
    if ratio == 1:
        return _fit(windows, length)
    resampler = _resampler(ratio)
    with torch.inference_mode():
        resampled = [resampler(torch.from_numpy(np.ascontiguousarray(window))).numpy() for window in windows]
    return _fit(np.stack(resampled), length)


def to_pcm16(windows: NDArray[np.float32]) -> NDArray[np.int16]:
    """Converts finite samples to int16: clipped to -1..1, times 32,768, rounded to the nearest (ties to even).

    A 16 bit recording at 16 kHz therefore comes out exactly as it went in.
    """
    scaled: NDArray[np.float32] = np.rint(windows.clip(-1.0, 1.0) * np.float32(32_768))
    return scaled.clip(None, 32_767).astype(np.int16)


def _ratio(rate: int, new_rate: int) -> Fraction:
    """The rate over the new rate, in terms of at most 1,024.

    The resampling kernel grows with the product of the two terms: 2.8 GB for 44,101 Hz. Every usual
    rate fits; for others the nearest ratio is at most 0.05 % off, a pitch difference that nobody hears.
    """
    exact = Fraction(rate, new_rate)
    return exact.limit_denominator(max(1, min(_MAX_TERM, int(_MAX_TERM / exact))))


@lru_cache(maxsize=16)
def _resampler(ratio: Fraction) -> Resample:
    return Resample(orig_freq=ratio.numerator, new_freq=ratio.denominator)


def _fit(windows: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Drops or repeats the few samples by which an approximated ratio misses the exact length."""
    missing = length - windows.shape[1]
    return np.pad(windows, ((0, 0), (0, missing)), mode="edge") if missing > 0 else windows[:, :length]

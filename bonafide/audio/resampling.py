"""From windows at a recording's own rate to 16 kHz, 16 bit: float32 in, int16 out. See docs/dependencies.md."""

import numpy as np
import soxr
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples per second of everything that a voice model is given."""

_QUALITY = "HQ"


def resample(windows: NDArray[np.float32], rate: int, new_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Resamples windows of equal length; a window's result does not depend on its neighbours, to the last bit.

    Args:
        windows: float32 array (count, samples) at `rate`.
        rate: samples per second of `windows`.
        new_rate: samples per second wanted.

    Returns:
        float32 array (count, round(samples * new_rate / rate)).
    """
    length = round(windows.shape[1] * new_rate / rate)
    if rate == new_rate or not len(windows):
        return windows[:, :length] if len(windows) else np.zeros((0, length), dtype=np.float32)
    return np.stack([_fit(soxr.resample(window, rate, new_rate, _QUALITY), length) for window in windows])


def to_pcm16(windows: NDArray[np.float32]) -> NDArray[np.int16]:
    """Converts finite samples to int16: clipped to -1..1, times 32,768, rounded to the nearest (ties to even).

    A 16 bit recording at 16 kHz therefore comes out exactly as it went in.
    """
    scaled: NDArray[np.float32] = np.rint(windows.clip(-1.0, 1.0) * np.float32(32_768))
    return scaled.clip(None, 32_767).astype(np.int16)


def _fit(window: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Drops or repeats the sample by which soxr's rounding may differ from ours."""
    missing = length - len(window)
    return np.pad(window, (0, missing), mode="edge") if missing > 0 else window[:length]

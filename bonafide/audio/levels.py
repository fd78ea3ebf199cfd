"""Windows at a recording's own rate and scale -> int16 at 16 kHz: the one rule for levels, on every transport.

Full scale is 1. A window that lies far beyond it holds integers, and is divided by their evident range. It is decided
for each window by itself, so that it does not depend on what came before or on how the samples arrived.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.resampling import resample, to_pcm16

LOUDEST = 2.0**32
"""No range of integers reaches this far: samples beyond it are no audio."""

_RANGES = (2.0**7, 2.0**15, 2.0**23, 2.0**31)
"""Full scale of integers of 8, 16, 24 and 32 bits."""
_OVER = 2.0
"""A level may exceed full scale so many times: what is merely too loud is clipped."""
_CLICKS = 0.001
"""Share of a window's samples that do not count for its level."""
_CLICK_LIMIT = 16.0  # what lies beyond it would ring through the window when it is resampled
_STEPS = 32_768.0
_FAINTEST = 1.5 / _STEPS
_FULL_SCALE = 32_000
"""Of int16; the loudest sample of G.711 is 32,124."""
_CLIPPED_SHARE = 0.2


class ModelInput(NamedTuple):
    """A window as voice models take it.

    Attributes:
        pcm: int16 array (n,), 16 kHz mono.
        divisor: what its samples were divided by; 1 unless they lay far beyond full scale.
        clipped: whether a fifth of its samples or more lie at full scale.
        faint: whether it holds some sound, none of which reaches 1.5 steps of 16 bit. Silence that was recorded with
            16 bit is not faint.
    """

    pcm: NDArray[np.int16]
    divisor: float
    clipped: bool
    faint: bool


def model_input(samples: NDArray[np.float32], rate: int) -> ModelInput:
    """Scales, resamples and converts one window.

    Args:
        samples: float32 array (n,), mono, finite and within `LOUDEST`, nominally -1..1.
        rate: in Hz.
    """
    divisor = 1.0
    loudest = float(np.abs(samples).max(initial=0.0))
    if loudest > _OVER:
        divisor = _range_of(samples)
        samples = (samples / np.float32(divisor)).clip(-_CLICK_LIMIT, _CLICK_LIMIT)
    pcm = to_pcm16(resample(samples[np.newaxis], rate))[0]
    loud = np.count_nonzero(pcm >= _FULL_SCALE) + np.count_nonzero(pcm <= -_FULL_SCALE)
    clipped = bool(loud >= _CLIPPED_SHARE * max(1, len(pcm)))
    return ModelInput(pcm, divisor, clipped, faint=loudest < _FAINTEST and _has_finer_steps(samples))


def _has_finer_steps(samples: NDArray[np.float32]) -> bool:
    steps = samples * np.float32(_STEPS)
    return bool((steps != np.rint(steps)).any())


def _range_of(samples: NDArray[np.float32]) -> float:
    """The smallest range of integers that holds the window's level; 1 if it lies near full scale."""
    at = len(samples) - 1 - int(len(samples) * _CLICKS)
    level = float(np.partition(np.abs(samples), at)[at])
    if level <= _OVER:
        return 1.0
    return next((full for full in _RANGES if level <= _OVER * full), _RANGES[-1])

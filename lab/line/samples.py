"""Mono samples in memory, and their rate."""

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000

Samples = NDArray[np.float32]


def resample(samples: Samples, rate: int, to: int = RATE) -> Samples:
    """Changes the rate of float32 (samples,) from `rate` to `to`, in Hz."""
    if rate == to:
        return samples
    resampler = av.AudioResampler(format="flt", layout="mono", rate=to)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), "flt", "mono")
    frame.sample_rate = rate
    blocks = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([block.to_ndarray()[0] for block in blocks])


def fitted(samples: Samples, length: int) -> Samples:
    """Cuts samples off the end, or adds silence there, to have `length` of them."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))

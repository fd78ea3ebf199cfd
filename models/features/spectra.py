"""Power spectra of short frames, and banks of triangular filters on the mel scales of Kaldi and of Slaney's toolbox."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples per second."""
FRAME = 400
"""Samples in a frame: 25 ms."""
HOP = 160
"""Samples between the starts of two frames: 10 ms."""

Doubles = NDArray[np.float64]


def framed(samples: Doubles, length: int = FRAME, hop: int = HOP) -> Doubles:
    """(samples,) -> a view of it, (frames, length), of the frames that are whole."""
    frames: Doubles = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
    return frames


def power(frames: Doubles, window: Doubles, points: int) -> Doubles:
    """Power spectra (frames, 1 + points // 2) of frames (frames, length), each weighed by a window (length,).

    Rounded as transformers does, which shows where features of a steady sound are divided by how little they vary.
    """
    spectrum = np.fft.rfft(frames * window, points).astype(np.complex64).astype(np.complex128)
    squares: Doubles = spectrum.real**2 + spectrum.imag**2
    return squares


def kaldi_frames(samples: Doubles) -> Doubles:
    """Frames of 25 ms without their mean and with a pre-emphasis of 0.97, as Kaldi's filter banks take them."""
    frames = framed(samples)
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    emphasised: Doubles = frames - 0.97 * before
    return emphasised


@cache
def kaldi_filters(bins: int, points: int = 512) -> Doubles:
    """Filters (1 + points // 2, bins) from 20 Hz to 8 kHz, triangular on Kaldi's mel scale."""
    edges = np.linspace(_kaldi_mel(np.array(20.0)), _kaldi_mel(np.array(RATE / 2)), bins + 2)
    return _triangles(_kaldi_mel(np.linspace(0, RATE / 2, 1 + points // 2)), edges)


@cache
def slaney_filters(bins: int, points: int) -> Doubles:
    """Filters (1 + points // 2, bins) from 0 to 8 kHz, triangular in hertz, each of unit area."""
    edges = _slaney_hertz(np.linspace(0.0, _SLANEY_TOP, bins + 2))
    return _triangles(np.linspace(0, RATE / 2, 1 + points // 2), edges) * (2.0 / (edges[2:] - edges[:-2]))


def _triangles(points: Doubles, edges: Doubles) -> Doubles:
    """Triangles over each two neighbouring intervals of `edges`, at `points`."""
    rising = (points[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - points[:, None]) / np.diff(edges)[1:]
    triangles: Doubles = np.maximum(0.0, np.minimum(rising, falling))
    return triangles


def _kaldi_mel(hertz: Doubles) -> Doubles:
    mel: Doubles = 1127.0 * np.log1p(hertz / 700.0)
    return mel


def _slaney_hertz(mel: Doubles) -> Doubles:
    """Linear below 1 kHz, which is 15 on this scale, and logarithmic above."""
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


_SLANEY_TOP = 15.0 + 27.0 * np.log(RATE / 2 / 1000.0) / np.log(6.4)

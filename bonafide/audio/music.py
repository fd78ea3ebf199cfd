"""Finds music by tones that hold their pitch: samples at 16 kHz in, in pieces; whether there is music out.

Continuous frequency activation (Seyerlehner, Pohle, Schedl and Widmer, "Automatic music detection in television
productions", DAFx 2007): notes are horizontal bars of a spectrogram, the harmonics of a voice glide. It looks at peaks
beside their neighbours, not at levels, so that it hears music under a voice, too. docs/verdict.md has the figures that
the limits rest on: `python -m lab.music`.
"""

import numpy as np
from numpy.typing import NDArray

MUSIC_ACTIVATION = 2.5
"""Of a block's five steadiest tones, 0..5; more is music. What a telephone plays itself has two tones at a time."""
MUSIC_SHARE = 0.25
"""Of the blocks with sound; as many with music make the recording one with music."""

_FRAME = 1_024
_HOP = 512
"""Samples at 8 kHz: 128 ms every 64 ms, bins of 7.8 Hz."""
_HALVING = 6
"""Samples at 16 kHz that halving their rate needs besides."""
_BLOCK_FRAMES = 41
"""2.6 s."""
_AT_ONCE = 16
"""Frames; few enough for arrays that the allocator keeps, which halves the time."""
_FIRST, _LAST = 36, 243
"""Bins that are looked at, from 281 to 1,891 Hz: what every telephone passes, and where notes have their partials."""
_AROUND = 10
"""Bins on either side that a bin is compared with, 78 Hz."""
_OVER_DB = 6.0
_BELOW_LOUDEST = np.float32(10 ** (-50 / 10))
"""Of a frame's loudest bin in power, added to each: what codecs and rounding add to a tone does not stand out."""
_LEAST_POWER = np.float32(100.0)
"""Likewise of what rounding to 16 bit adds, 32 in the mean."""
_VALLEY = 4
"""Bins on either side in which a tone must have a valley beside it."""
_TONES = 5
_SILENT = 10 ** (-85 / 20) * 32_768
"""RMS of a block, in steps of 16 bit; under it nothing is heard."""
_WINDOW = np.hanning(_FRAME).astype(np.float32)


class MusicMeter:
    """Listens to one recording or session; holds counts and less than a frame of samples.

    Attributes:
        heard: blocks with sound.
        musical: those of them with music.
    """

    def __init__(self) -> None:
        self.heard = 0
        self.musical = 0
        self._rest = np.zeros(0, np.int16)
        self._restart()

    def add(self, pcm: NDArray[np.int16]) -> None:
        """Takes what follows: int16 (n,), 16 kHz mono."""
        pcm = np.concatenate([self._rest, pcm])
        count = max(0, (len(pcm) - _HALVING - 2 * _FRAME) // (2 * _HOP) + 1)
        self._rest = pcm[2 * _HOP * count :].copy()
        if not count:
            return
        frames = np.lib.stride_tricks.sliding_window_view(_halved(pcm), _FRAME)[: count * _HOP : _HOP]
        while len(frames):
            taken = frames[: min(_AT_ONCE, _BLOCK_FRAMES - self._frames)]
            frames = frames[len(taken) :]
            power, active = _activity(taken)
            self._frames += len(taken)
            self._power += power
            self._active += active
            if self._frames == _BLOCK_FRAMES:
                self._end_block()

    @property
    def found(self) -> bool:
        """Whether what was heard so far has music in it; never of less than a block."""
        return self.musical > 0 and self.musical >= MUSIC_SHARE * self.heard

    def _end_block(self) -> None:
        if self._power >= _BLOCK_FRAMES * _SILENT**2:
            self.heard += 1
            self.musical += activation(self._active / _BLOCK_FRAMES) > MUSIC_ACTIVATION
        self._restart()

    def _restart(self) -> None:
        self._frames = 0
        self._power = 0.0
        self._active = np.zeros(_LAST - _FIRST, np.int64)


def activation(shares: NDArray[np.float64]) -> float:
    """How steady the five steadiest tones of a block are together, 0..5.

    Args:
        shares: float (bins,), of the frames in which a bin stood out, 0..1.
    """
    padded = np.pad(shares, _VALLEY, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, _VALLEY + 1)
    valleys = np.maximum(around[: len(shares)].min(axis=1), around[-len(shares) :].min(axis=1))
    before, after = padded[_VALLEY - 1 : -_VALLEY - 1], padded[_VALLEY + 1 : len(padded) - _VALLEY + 1]
    tones = np.where((shares >= before) & (shares > after), shares - valleys, 0.0)
    return float(np.sort(tones)[-_TONES:].sum())


def _halved(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """At 8 kHz: (n,) to ((n - 6) // 2 or one more,). Half-band: -0.5 dB at 2 kHz, -25 dB at 6 kHz."""
    samples = pcm.astype(np.float32)
    middle, near, far = (np.float32(each) for each in (16 / 32, 9 / 32, -1 / 32))
    halved = middle * samples[3:-3:2] + near * (samples[2:-4:2] + samples[4:-2:2])
    return np.asarray(halved + far * (samples[:-6:2] + samples[6::2]), np.float32)


def _activity(frames: NDArray[np.float32]) -> tuple[float, NDArray[np.int64]]:
    """Of float32 (n, 1024): the sum of their mean powers, and in how many frames each bin stands out (bins,)."""
    spectra = np.fft.rfft(frames * _WINDOW, axis=1)[:, _FIRST - _AROUND - 1 : _LAST + _AROUND]
    squares = np.square(spectra.real) + np.square(spectra.imag)
    floor = _LEAST_POWER + _BELOW_LOUDEST * squares.max(axis=1, keepdims=True)
    level = 10.0 * np.log10(squares + floor)
    sums = np.cumsum(level, axis=1, dtype=np.float64)
    width = 2 * _AROUND + 1
    mean = (sums[:, width:] - sums[:, :-width]) / width
    active = (level[:, _AROUND + 1 : -_AROUND] - mean > _OVER_DB).sum(axis=0)
    return float(np.square(frames, dtype=np.float64).sum()) / _FRAME, active

"""What weakens a verdict, measured on decoded samples as they come: one definition for every transport and `lab`.

Samples of windows in, each once; names of conditions out. The same samples give the same names, however they are cut.
docs/verdict.md has the figures that the limits rest on: `python -m lab.evaluation.condition_rules`, and of music
`python -m lab.music`.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.levels import ModelInput
from bonafide.audio.music import MusicMeter
from bonafide.audio.resampling import SAMPLE_RATE

NARROW_BAND, CLIPPING, LOW_LEVEL, NOISE = "narrow_band", "clipping", "low_level", "noise"
LITTLE_SPEECH, CODEC, MUSIC = "little_speech", "codec", "music"
CONDITIONS = (NARROW_BAND, CLIPPING, LOW_LEVEL, NOISE, LITTLE_SPEECH, CODEC, MUSIC)
"""All names, in the order in which they are told."""

LEAST_SPEECH_S = 2.0
"""Seconds of speech under which there is little of it."""
NARROW_DB = -50.0
"""Power from 4.2 to 7 kHz, relative to that from 0.3 to 3.4 kHz, under which a band is narrow."""
LOW_DB = -45.0
"""Of full scale; a loudest tenth of frames under it is quiet."""
NOISY_DB = 15.0
"""Between the loudest and the quietest tenth of frames; less is noisy."""

_FRAME_S = 0.032
_MULTIPLE = 8
"""Of samples a frame has: a Fourier transform of 1,411 or 706, those of 44.1 kHz and its half, takes twice the time."""
_AT_ONCE = 1 << 16
"""Samples of the frames measured together; what more take comes as new memory each time."""
_LEAST_FRAMES = 31
"""A second; less is not measured."""
_FLOOR_DB = 100
_SILENT_DB = -85
"""Frames under it are no noise of a room or a line, but silence that something put there."""
_SPEECH_BAND_HZ, _UPPER_BAND_HZ = (300.0, 3_400.0), (4_200.0, 7_000.0)
_LOUD, _QUIET = 0.9, 0.1
_TINY = 1e-20
_LOSSLESS = ("pcm_s", "pcm_u", "pcm_f", "flac", "alac")


class Measures(NamedTuple):
    """What was measured; None where there is too little sound for it.

    Attributes:
        upper_band_db: power from 4.2 to 7 kHz relative to that from 0.3 to 3.4 kHz.
        level_db: of full scale; a tenth of the frames that are not silent are louder.
        snr_db: `level_db` less the level that a tenth of those frames stay under.
    """

    upper_band_db: float | None
    level_db: float | None
    snr_db: float | None


class ConditionMeter:
    """Measures one recording or session; holds histograms and less than a frame of samples.

    Attributes:
        lossy: set where it is known that a lossy codec was in the way.
        music: listens for music.
    """

    def __init__(self) -> None:
        self.lossy = False
        self._clipped = False
        self.music = MusicMeter()
        self._levels = np.zeros(_FLOOR_DB + 1, np.int64)
        self._bands = np.zeros(2)
        self._rest = np.zeros(0, np.float32)
        self._rate = 0

    def add(self, samples: NDArray[np.float32], rate: int, window: ModelInput) -> None:
        """Takes what is new of a window.

        Args:
            samples: float32 (n,), mono, as decoded, that no earlier window held.
            rate: in Hz.
            window: all of it, as the model gets it.
        """
        self._clipped |= window.clipped
        self.music.add(window.pcm[max(0, len(window.pcm) - round(len(samples) * SAMPLE_RATE / rate)) :])
        if rate != self._rate:
            self._rest, self._rate = np.zeros(0, np.float32), rate
        if window.divisor != 1.0:
            samples = samples / np.float32(window.divisor)
        length = max(1, round(rate * _FRAME_S / _MULTIPLE)) * _MULTIPLE
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // length
        self._rest = samples[count * length :].copy()
        frames = samples[: count * length].reshape(count, length)
        at_once = max(1, _AT_ONCE // length)
        for start in range(0, count, at_once):
            self._measure(frames[start : start + at_once].astype(np.float64))

    def _measure(self, frames: NDArray[np.float64]) -> None:
        power = np.square(frames).mean(axis=1)
        level = np.ceil(10.0 * np.log10(power + _TINY)).clip(-_FLOOR_DB, 0).astype(np.int64)
        self._levels += np.bincount(level + _FLOOR_DB, minlength=_FLOOR_DB + 1)
        spectra = np.fft.rfft(frames * _hann(frames.shape[1]), axis=1)
        hz = np.fft.rfftfreq(frames.shape[1], 1.0 / self._rate)
        for index, (low, high) in enumerate((_SPEECH_BAND_HZ, _UPPER_BAND_HZ)):
            # Real and imaginary parts by themselves: their magnitude is slow to compute, and squared again.
            band = spectra[:, np.searchsorted(hz, low) : np.searchsorted(hz, high, side="right")]
            self._bands[index] += np.square(band.real).sum() + np.square(band.imag).sum()

    @property
    def measures(self) -> Measures:
        """So far."""
        heard = self._levels.copy()
        heard[: _FLOOR_DB + _SILENT_DB] = 0
        count = int(heard.sum())
        if count < _LEAST_FRAMES:
            return Measures(None, None, None)
        ranks = np.cumsum(heard)
        loud, quiet = (int(np.searchsorted(ranks, share * count)) - _FLOOR_DB for share in (_LOUD, _QUIET))
        speech, upper = self._bands
        upper_db = 10.0 * np.log10((upper + _TINY) / speech) if speech > _TINY else None
        return Measures(None if upper_db is None else float(upper_db), float(loud), float(loud - quiet))

    def names(self) -> tuple[str, ...]:
        """The conditions found so far, in the order of `CONDITIONS`; `little_speech` is not told by samples alone."""
        found = self.measures
        holds = {
            NARROW_BAND: found.upper_band_db is not None and found.upper_band_db < NARROW_DB,
            CLIPPING: self._clipped,
            LOW_LEVEL: found.level_db is not None and found.level_db < LOW_DB,
            NOISE: found.snr_db is not None and found.snr_db < NOISY_DB,
            CODEC: self.lossy,
            MUSIC: self.music.found,
        }
        return in_order(name for name, is_so in holds.items() if is_so)


@lru_cache(maxsize=8)
def _hann(length: int) -> NDArray[np.float64]:
    return np.hanning(length)


def with_speech(names: Iterable[str], speech_s: float) -> tuple[str, ...]:
    """The conditions of the samples, and whether there is little speech: so many seconds."""
    return in_order([*names, *((LITTLE_SPEECH,) if speech_s < LEAST_SPEECH_S else ())])


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Known names, each once, in the order of `CONDITIONS`."""
    found = set(names)
    return tuple(name for name in CONDITIONS if name in found)


def is_lossy(codec: str) -> bool:
    """Whether a codec, by FFmpeg's name or by one of `live.input_decoder.Encoding`, loses something of the sound."""
    return codec not in ("pcm16", "l16", "float32", "container") and not codec.startswith(_LOSSLESS)

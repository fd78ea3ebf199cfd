"""The conditions of the line under which a voice model is judged, one entry each; see docs/robustness.md."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lab.line import gsm, opus
from lab.line.acoustics import at_level_of, coloured, in_room, small_loudspeaker, with_noise
from lab.line.codecs import AMR, Codec, has_encoder, through
from lab.line.gsm import GSM_RATE, through_gsm
from lab.line.opus import through_opus
from lab.line.samples import RATE, Samples, fitted, resample

CLEAN = "clean"


class Sound(NamedTuple):
    """Samples float32 (n,), mono, -1..1, at `rate` in Hz."""

    samples: Samples
    rate: int


Degrade = Callable[[Samples, np.random.Generator], Sound]
"""From samples at 16 kHz to what arrives at the other end, of the same duration."""


@dataclass(frozen=True)
class Condition:
    """A line between a voice and the service.

    Attributes:
        name: of the condition.
        description: of what it does, with all its figures; a change of them is another condition.
        degrade: None leaves the file as it is.
        missing: why it cannot be made here, or empty.
    """

    name: str
    description: str
    degrade: Degrade | None
    missing: Callable[[], str] = lambda: ""


def conditions() -> Sequence[Condition]:
    """All conditions, in the order of the report; the first is `clean`."""
    return _CONDITIONS


def _by_ffmpeg(name: str, description: str, codec: Codec, kbit: float) -> Condition:
    def degrade(samples: Samples, rng: np.random.Generator) -> Sound:
        coded = through(resample(samples, RATE, codec.rate), codec, kbit)
        return Sound(fitted(coded, round(len(samples) * codec.rate / RATE)).clip(-1, 1), codec.rate)

    def missing() -> str:
        return "" if has_encoder(codec.encoder) else f"no encoder: PyAV's FFmpeg has no {codec.encoder}"

    return Condition(name, description, degrade, missing)


def _gsm(samples: Samples, rng: np.random.Generator) -> Sound:
    coded = through_gsm(resample(samples, RATE, GSM_RATE))
    return Sound(fitted(coded, round(len(samples) * GSM_RATE / RATE)), GSM_RATE)


def _opus(kbit: int, loss_percent: int) -> Condition:
    def degrade(samples: Samples, rng: np.random.Generator) -> Sound:
        return Sound(through_opus(samples, kbit, loss_percent / 100, rng).clip(-1, 1), RATE)

    name = f"opus-{kbit}k" + (f"-loss{loss_percent}" if loss_percent else "")
    lost = f", {loss_percent} % of the packets lost, in bursts, FEC and concealment" if loss_percent else ""
    return Condition(name, f"Opus at {kbit} kbit/s, packets of 20 ms{lost}", degrade, opus.missing)


def _noise(snr_db: int) -> Condition:
    def degrade(samples: Samples, rng: np.random.Generator) -> Sound:
        noise = coloured(rng.standard_normal(len(samples)), tilt=0.5)
        return Sound(_below_full_scale(with_noise(samples, noise, snr_db)), RATE)

    return Condition(f"noise-{snr_db}db", f"pink noise {snr_db} dB below the recording's mean power", degrade)


def _room(samples: Samples, rng: np.random.Generator) -> Sound:
    wet = in_room(samples, rng.standard_normal(RATE // 2), seconds=0.5, onset_s=0.005, tail_db=0)
    return Sound(_below_full_scale(at_level_of(samples, wet)), RATE)


def _replay(samples: Samples, rng: np.random.Generator) -> Sound:
    white = rng.standard_normal(round(0.3 * RATE))
    heard = in_room(small_loudspeaker(samples), white, seconds=0.3, onset_s=0.003, tail_db=-6)
    noisy = with_noise(at_level_of(samples, heard), coloured(rng.standard_normal(len(samples)), tilt=0.5), 30)
    return Sound(_below_full_scale(noisy), RATE)


def _below_full_scale(samples: Samples) -> Samples:
    """Turned down where it would clip, as whoever records would do."""
    loudest = float(np.abs(samples).max(initial=0.0))
    return samples if loudest <= 1 else np.asarray(samples / loudest, np.float32)


_CONDITIONS = (
    Condition(CLEAN, "the files as they are", None),
    _by_ffmpeg("mu-law", "G.711 mu-law at 8 kHz", Codec("wav", "pcm_mulaw", 8_000), 64),
    _by_ffmpeg("a-law", "G.711 A-law at 8 kHz", Codec("wav", "pcm_alaw", 8_000), 64),
    Condition("gsm", "GSM full rate, 13 kbit/s at 8 kHz", _gsm, gsm.missing),
    _by_ffmpeg("amr", "AMR-NB at 12.2 kbit/s, 8 kHz", AMR, 12.2),
    _opus(16, 0),
    _opus(16, 10),
    _opus(8, 0),
    _opus(8, 10),
    _by_ffmpeg("mp3", "MP3 at 32 kbit/s, 16 kHz", Codec("mp3", "libmp3lame", 16_000), 32),
    _noise(20),
    _noise(10),
    _noise(5),
    Condition("room", "reverberation of 0.5 s, as loud as the voice itself", _room),
    Condition(
        "replay",
        "a small loudspeaker (500 Hz to 6.5 kHz, resonance at 900 Hz, compressed), a room of 0.3 s, noise at 30 dB",
        _replay,
    ),
)

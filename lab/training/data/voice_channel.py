"""One recording chain for both classes, so that only the voice distinguishes them.

In: a dry 4 s window. Out: the window after a microphone, a room, a line and a codec.
Independent of classes: the draw depends on the random generator alone.
"""

import numpy as np

from lab.line.acoustics import coloured, in_room, with_noise
from lab.line.codecs import AMR, Codec, through
from lab.line.samples import RATE, Samples, fitted, resample

_CODECS: tuple[tuple[Codec, tuple[float, ...]], ...] = (
    # with the bit rates in kbit/s
    (Codec("mp3", "libmp3lame", 16_000), (24, 32, 48, 64)),
    (Codec("ogg", "libopus", 16_000), (16, 24, 32)),
    (Codec("adts", "aac", 16_000), (24, 32, 48)),
    (Codec("g722", "g722", 16_000), (64,)),
    (AMR, (12.2,)),
    (Codec("wav", "adpcm_ima_wav", 8_000), (32,)),
    (Codec("wav", "pcm_mulaw", 8_000), (64,)),
    (Codec("wav", "pcm_mulaw", 16_000), (128,)),
)
CODEC_SHARE = 0.6
TELEPHONE_SHARE = 1 / 3
REVERB_SHARE = 0.3
HARMONICS_SHARE = 1 / 3
IMPULSES_SHARE = 0.2


def channel(samples: Samples, rng: np.random.Generator) -> Samples:
    """Sends one window through a randomly drawn recording chain.

    Args:
        samples: float32 (samples,), 16 kHz, -1..1.
        rng: Draws everything: band, tilt, room, noise at 14-42 dB, level, codec.

    Returns:
        float32 (samples,), same length, -1..1, never louder than full scale.
    """
    telephone = rng.random() < TELEPHONE_SHARE
    wet = samples + np.float32(1e-5) * rng.standard_normal(len(samples)).astype(np.float32)
    if rng.random() < REVERB_SHARE:
        wet = _reverb(wet, rng)
    wet = _noise(wet, rng)
    wet = _colour(wet, telephone, rng)
    wet = _level(wet, rng)
    if rng.random() < CODEC_SHARE:
        wet = _codec(wet, telephone, rng)
    return np.clip(wet, -1, 1).astype(np.float32)


def clean(samples: Samples, rng: np.random.Generator) -> Samples:
    """Changes the level only, and hides digital silence: float32 (samples,) -> the same length, -1..1."""
    noise = coloured(rng.standard_normal(len(samples)), rng.uniform(0, 1))
    return _level(with_noise(samples, noise, rng.uniform(38, 65)), rng)


def distorted(samples: Samples, rng: np.random.Generator) -> Samples:
    """Bends and sprinkles some of the windows, after RawBoost (Tak et al. 2022): float32 (samples,), may exceed -1..1.

    A third gets harmonics of order two and three, each through a filter of its own; a fifth gets noise on single
    samples in proportion to them.
    """
    out = samples
    if rng.random() < HARMONICS_SHARE:
        loudest = float(np.abs(out).max(initial=0.0)) + 1e-9
        for order in (2, 3):
            taps = rng.standard_normal(int(rng.integers(3, 24)))
            taps = taps / np.abs(taps).sum()
            bent = np.convolve((out / loudest) ** order, taps, mode="same")
            out = np.asarray(out + loudest * 10 ** (rng.uniform(-40, -14) / 20) * bent, np.float32)
    if rng.random() < IMPULSES_SHARE:
        hit = rng.random(len(out)) < rng.uniform(0.005, 0.08)
        strength = 10 ** (rng.uniform(-20, -3) / 20)
        out = np.asarray(out + hit * rng.uniform(-1, 1, len(out)) * strength * out, np.float32)
    return out


def _reverb(samples: Samples, rng: np.random.Generator) -> Samples:
    seconds = rng.uniform(0.08, 0.45)
    white = rng.standard_normal(int(seconds * RATE))
    onset_s, tail_db = rng.uniform(0.001, 0.01), rng.uniform(-20, -3)
    return in_room(samples, white, seconds=seconds, onset_s=onset_s, tail_db=tail_db)


def _noise(samples: Samples, rng: np.random.Generator) -> Samples:
    white = rng.standard_normal(len(samples))
    noise = coloured(white, rng.uniform(0, 1))
    return with_noise(samples, noise, rng.uniform(14, 42))


def _colour(samples: Samples, telephone: bool, rng: np.random.Generator) -> Samples:
    low = rng.uniform(180, 380) if telephone else rng.uniform(30, 130)
    high = rng.uniform(3000, 3700) if telephone else rng.uniform(4200, 7000)
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    octaves = np.log2(np.maximum(frequency, 20) / 1000)
    curve_db = rng.uniform(-1.5, 1.5) * octaves
    for _ in range(3):
        centre, width = rng.uniform(-3, 2.5), rng.uniform(0.3, 1.5)
        curve_db += rng.normal(0, 1.5) * np.exp(-(((octaves - centre) / width) ** 2))
    order = rng.uniform(3, 8)
    band = 1 / np.sqrt(1 + (frequency / high) ** (4 * order))
    band /= np.sqrt(1 + (low / np.maximum(frequency, 1)) ** (2 * order))
    # A steep fall above the upper edge, down to what a converter would leave.
    shape = np.maximum(band, 1e-4) * 10 ** (curve_db / 20)
    return np.asarray(np.fft.irfft(np.fft.rfft(samples) * shape, len(samples)), np.float32)


def _level(samples: Samples, rng: np.random.Generator) -> Samples:
    target = 10 ** (rng.uniform(-32, -14) / 20)
    gain = target / np.sqrt((samples**2).mean() + 1e-12)
    return np.asarray(np.clip(samples * gain, -1, 1), np.float32)


def _codec(samples: Samples, telephone: bool, rng: np.random.Generator) -> Samples:
    fitting = [entry for entry in _CODECS if telephone or entry[0].rate == RATE]
    codec, rates_kbit = fitting[rng.integers(len(fitting))]
    kbit = float(rng.choice(rates_kbit))
    coded = through(resample(samples, RATE, codec.rate), codec, kbit)
    return fitted(resample(coded, codec.rate), len(samples))

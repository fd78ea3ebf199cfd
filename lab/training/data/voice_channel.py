"""One recording chain for both classes, so that only the voice distinguishes them.

In: a dry 4 s window. Out: the window after a microphone, a room, a line and a codec.
Independent of classes: the draw depends on the random generator alone.
"""

import io
from typing import Any

import av
import numpy as np
from scipy.signal import fftconvolve

from lab.training.data.voice_audio import RATE, Samples, resample

# Container, encoder, rates it runs at, bit rates in kbit/s.
_CODECS: tuple[tuple[str, str, int, tuple[float, ...]], ...] = (
    ("mp3", "libmp3lame", 16_000, (24, 32, 48, 64)),
    ("ogg", "libopus", 16_000, (16, 24, 32)),
    ("adts", "aac", 16_000, (24, 32, 48)),
    ("g722", "g722", 16_000, (64,)),
    ("amr", "libopencore_amrnb", 8_000, (12.2,)),
    ("wav", "adpcm_ima_wav", 8_000, (32,)),
    ("wav", "pcm_mulaw", 8_000, (64,)),
    ("wav", "pcm_mulaw", 16_000, (128,)),
)
CODEC_SHARE = 0.6
TELEPHONE_SHARE = 1 / 3
REVERB_SHARE = 0.3


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


def _reverb(samples: Samples, rng: np.random.Generator) -> Samples:
    seconds = rng.uniform(0.08, 0.45)
    time = np.arange(int(seconds * RATE)) / RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail[: int(rng.uniform(0.001, 0.01) * RATE)] = 0
    response = tail / np.sqrt((tail**2).sum() + 1e-9) * 10 ** (rng.uniform(-20, -3) / 20)
    response[0] = 1
    return np.asarray(fftconvolve(samples, response)[: len(samples)], np.float32)


def _noise(samples: Samples, rng: np.random.Generator) -> Samples:
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    noise = np.fft.irfft(spectrum * (1 + frequency / 100) ** -rng.uniform(0, 1), len(samples))
    snr_db = rng.uniform(14, 42)
    gain = np.sqrt((samples**2).mean() / (noise**2).mean() * 10 ** (-snr_db / 10))
    return np.asarray(samples + gain * noise, np.float32)


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
    fitting = [codec for codec in _CODECS if telephone or codec[2] == RATE]
    container, encoder, rate, rates_kbit = fitting[rng.integers(len(fitting))]
    kbit = float(rng.choice(rates_kbit))
    coded = _through(resample(samples, RATE, rate), container, encoder, rate, kbit)
    decoded = resample(coded, rate)[: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def _through(samples: Samples, container: str, encoder: str, rate: int, kbit: float) -> Samples:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(encoder, rate=rate)
        stream.layout = "mono"
        if encoder not in ("pcm_mulaw", "g722", "adpcm_ima_wav"):
            stream.bit_rate = round(kbit * 1000)
        formatter = av.AudioResampler(stream.format.name, "mono", rate, stream.frame_size or None)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), "flt", "mono")
        frame.sample_rate = rate
        for block in [*formatter.resample(frame), *formatter.resample(None)]:
            out.mux(stream.encode(block))
        out.mux(stream.encode(None))
    file.seek(0)
    # The AAC reader takes some first bytes for a tag in an unknown encoding.
    read_as = "aac" if container == "adts" else container
    with av.open(file, "r", format=read_as, metadata_errors="replace") as back:
        formatter = av.AudioResampler("flt", "mono", rate)
        blocks = [block for frame in back.decode(audio=0) for block in formatter.resample(frame)]
        blocks += formatter.resample(None)
    return np.concatenate([block.to_ndarray()[0] for block in blocks])

"""Recordings to dry 4 s windows: decode, trim, level, join, cut. The same code serves both classes."""

import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from lab.line.samples import RATE, Samples, resample
from models.atomic import atomic

WINDOW = 64_000

_RAW_RATE = 8_000
_FRAME = 320
_HEADLESS = {".gsm": "gsm", ".g722": "g722"}


def decode(path: Path) -> Samples:
    """Reads any of the packages' audio files.

    Args:
        path: wav, ogg, flac, mp3, opus, headless gsm or g722, or 8 kHz int16 `.raw`.

    Returns:
        float32 (samples,), 16 kHz mono, -1..1.

    Raises:
        av.FFmpegError: The file cannot be decoded.
    """
    if path.suffix == ".raw":
        pcm = np.fromfile(path, "<i2").astype(np.float32) / np.float32(32768)
        return resample(pcm, _RAW_RATE)
    blocks: list[Samples] = []
    with av.open(str(path), format=_HEADLESS.get(path.suffix), metadata_errors="replace") as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        for frame in container.decode(audio=0):
            frame.pts = None
            blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
        blocks += [block.to_ndarray()[0] for block in resampler.resample(None)]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def trim(samples: Samples, floor_db: float = 38, longest_pause: float = 0.5) -> Samples:
    """Cuts quiet ends off and shortens long pauses.

    Args:
        samples: float32 (samples,), 16 kHz.
        floor_db: A 20 ms frame this far below the loudest one is quiet.
        longest_pause: Longer pauses are cut to this, in seconds.

    Returns:
        float32 (samples,), possibly empty.
    """
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    if not len(frames):
        return samples[:0]
    level = (frames**2).mean(1)
    if level.max() < 1e-8:
        return samples[:0]
    loud = level > level.max() * 10 ** (-floor_db / 10)
    # A frame stays when speech is near on both sides; ends count as no speech.
    index = np.arange(len(loud))
    last = np.maximum.accumulate(np.where(loud, index, -(10**9)))
    following = np.minimum.accumulate(np.where(loud, index, 10**9)[::-1])[::-1]
    reach = longest_pause * RATE / _FRAME / 2
    inside = (last >= 0) & (following < 10**9)
    near = np.minimum(index - last, following - index) <= reach
    margin = np.minimum(index - last, following - index) <= 2
    return np.asarray(frames[(inside & near) | margin].reshape(-1), np.float32)


def windows(clips: Iterable[Samples], rng: np.random.Generator) -> Iterator[Samples]:
    """Joins trimmed clips of one speaker with short gaps and cuts the stream into windows.

    Args:
        clips: float32 (samples,) each, 16 kHz.
        rng: Draws gaps and levels.

    Yields:
        float32 (64000,), speech at about -23 dB; the rest of the stream that fills no window is dropped.
    """
    held: list[Samples] = []
    length = 0
    for clip in clips:
        speech = trim(clip)
        if len(speech) < RATE // 5:
            continue
        loudness = np.sqrt((speech**2).mean() + 1e-12)
        speech = speech * (0.07 * 10 ** (rng.normal(0, 1.5) / 20) / loudness)
        gap = np.zeros(int(rng.uniform(0.03, 0.35) * RATE), np.float32)
        held += [np.clip(speech, -1, 1), gap]
        length += len(speech) + len(gap)
        while length >= WINDOW:
            joined = np.concatenate(held)
            yield joined[:WINDOW]
            held = [joined[WINDOW:]]
            length = len(held[0])


def save(samples: Samples, path: Path) -> None:
    """Writes float32 (samples,) at 16 kHz as a 16 bit wav."""
    pcm = np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2")
    with atomic(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())


def load(path: Path) -> Samples:
    """Reads a file written by `save`: float32 (samples,), -1..1."""
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)

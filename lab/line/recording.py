"""A recording's bytes after a condition of the line, as bytes again: what comes out passes the service's own door."""

import hashlib
import io
import wave

import numpy as np

from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.levels import model_input
from bonafide.audio.reader import AudioLimits
from bonafide.audio.resampling import to_pcm16
from bonafide.errors import UnreadableMedia
from lab.line.conditions import Condition, Sound
from lab.line.samples import Samples


class Line:
    """One condition, with its chance.

    What is drawn for a recording depends on its bytes, the condition and the seed alone: not on its name, nor on which
    recordings came before.

    Args:
        condition: one that changes recordings.
        seed: of all draws, 0 or more.

    Attributes:
        identity: identifies what it does to a recording.
    """

    def __init__(self, condition: Condition, seed: int = 0) -> None:
        self._degrade = condition.degrade
        self._name = condition.name
        self._seed = seed
        self.identity = f"{condition.name} ({condition.description}), seed {seed}"

    def send(self, data: bytes, limits: AudioLimits) -> bytes:
        """Sends a recording; may run on several threads at a time.

        Args:
            data: a recording that the service would accept.
            limits: on channels and sample rate.

        Returns:
            WAV, 16 bit, mono, of the same duration; `data` itself when the condition changes nothing.

        Raises:
            UnreadableMedia: it cannot be decoded.
            TooLarge: too many channels or Hz.
        """
        if self._degrade is None:
            return data
        key = hashlib.sha256(f"{self._seed} {self._name} ".encode() + data).digest()
        rng = np.random.default_rng(int.from_bytes(key, "big"))
        return as_wav(self._degrade(decoded(data, limits), rng))


def decoded(data: bytes, limits: AudioLimits) -> Samples:
    """All samples, at 16 kHz: resampled in one piece, so that no seam between windows is degraded with them."""
    runs: list[tuple[int, list[Samples]]] = []
    for block in MonoDecoder(data, limits.max_channels, limits.max_sample_rate).blocks():
        samples, rate = block.samples, block.rate
        if not runs or runs[-1][0] != rate:
            runs.append((rate, []))
        runs[-1][1].append(samples)
    if not runs:
        raise UnreadableMedia("no audio could be decoded from the recording")
    pcm = np.concatenate([model_input(np.concatenate(blocks), rate).pcm for rate, blocks in runs])
    return pcm.astype(np.float32) / np.float32(32_768)


def as_wav(sound: Sound) -> bytes:
    """WAV, 16 bit, mono."""
    pcm = to_pcm16(sound.samples[np.newaxis])[0].astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(sound.rate)
        written.writeframes(pcm.tobytes())
    return file.getvalue()

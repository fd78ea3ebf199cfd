"""A recording's bytes after a condition of the line, as bytes again: what comes out passes the service's own door."""

import hashlib
import io
import wave
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from bonafide.audio.channel_mode import AUTO, channel_samples
from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.levels import model_input
from bonafide.audio.mono import Block
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
        self.identity = f"{condition.name} ({condition.description}), each party, seed {seed}"

    def send(self, data: bytes, limits: AudioLimits) -> bytes:
        """Sends a recording; may run on several threads at a time.

        Args:
            data: a recording that the service would accept.
            limits: on channels and sample rate.

        Returns:
            WAV, 16 bit, of the same duration, mono; of two channels in which the service finds two parties, each sent
            by itself. `data` itself when the condition changes nothing.

        Raises:
            UnreadableMedia: it cannot be decoded.
            TooLarge: too many channels or Hz.
        """
        if self._degrade is None:
            return data
        key = hashlib.sha256(f"{self._seed} {self._name} ".encode() + data).digest()
        rng = np.random.default_rng(int.from_bytes(key, "big"))
        return as_wav(*(self._degrade(samples, rng) for samples in _parties(data, limits)))


def decoded(data: bytes, limits: AudioLimits) -> Samples:
    """All samples, at 16 kHz: resampled in one piece, so that no seam between windows is degraded with them."""
    return _at_16_khz([(block.samples, block.rate) for block in _blocks(data, limits)])


def as_wav(*channels: Sound) -> bytes:
    """WAV, 16 bit, of channels of one rate and length."""
    pcm = to_pcm16(np.stack([sound.samples for sound in channels])).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(len(channels))
        written.setsampwidth(2)
        written.setframerate(channels[0].rate)
        written.writeframes(pcm.T.tobytes())
    return file.getvalue()


def _parties(data: bytes, limits: AudioLimits) -> list[Samples]:
    """Each channel of a call in which the service finds two parties; else the mix, as `decoded`."""
    # Of more channels than two the service judges the mix.
    blocks = [block if block.channels == 2 else block._replace(apart=None) for block in _blocks(data, limits)]
    if all(block.parted_at is None for block in blocks):
        return [_at_16_khz([(block.samples, block.rate) for block in blocks])]
    return [_at_16_khz([(channel_samples(block, AUTO, number), block.rate) for block in blocks]) for number in (0, 1)]


def _blocks(data: bytes, limits: AudioLimits) -> Iterator[Block]:
    return MonoDecoder(data, limits.max_channels, limits.max_sample_rate).blocks()


def _at_16_khz(blocks: Sequence[tuple[Samples, int]]) -> Samples:
    """Samples at their rates as one run.

    Raises:
        UnreadableMedia: there are none.
    """
    if not blocks:
        raise UnreadableMedia("no audio could be decoded from the recording")
    pcm = [
        model_input(np.concatenate([samples for samples, _ in run]), rate).pcm
        for rate, run in groupby(blocks, key=lambda block: block[1])
    ]
    return np.concatenate(pcm).astype(np.float32) / np.float32(32_768)

"""Decodes the bytes of a session in the encoding and rate that are configured now. Shared by every transport."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.mono import Block
from bonafide.audio.resampling import SAMPLE_RATE
from bonafide.decoders.containers import ContainerStream
from bonafide.errors import InvalidRequest
from bonafide.live.formats import RawDecoder, RawEncoding, is_array, raw_encoding, text_bytes, text_samples
from bonafide.live.session import MIN_SECONDS, LiveConfig, check_rate
from bonafide.live.stream import LiveStream

Encoding = RawEncoding | Literal["container"]
ENCODINGS: tuple[str, ...] = (*get_args(RawEncoding), "container")

MULAW_RATE = 8_000


class AudioInputDecoder:
    """Decodes the bytes of one session; a configuration is applied completely or not at all.

    Attributes:
        rate: Hz of raw samples.
        encoding: of bytes; None until it is configured.
    """

    def __init__(self, stream: LiveStream) -> None:
        self.rate = SAMPLE_RATE
        self.encoding: Encoding | None = None
        self._stream = stream
        self._defaults = stream.session.config
        self._overlap_named = False
        self._decoder: RawDecoder | ContainerStream | None = None

    def configure(
        self,
        *,
        rate: int | None = None,
        encoding: Encoding | None = None,
        chunk_s: float | None = None,
        overlap_s: float | None = None,
    ) -> None:
        """Applies the values that are given; a new container begins.

        Raises:
            InvalidRequest: a value is out of range; nothing is changed.
        """
        session = self._stream.session
        if rate is None:
            rate = MULAW_RATE if encoding == "mulaw" else self.rate
        check_rate(rate)
        if chunk_s is None:
            chunk_s = session.config.chunk_s
        named = overlap_s is not None
        if overlap_s is None:
            overlap_s = session.config.overlap_s if self._overlap_named else self.default_windows(chunk_s).overlap_s
        session.configure(LiveConfig(chunk_s, overlap_s))
        self._overlap_named = self._overlap_named or named
        self.rate = rate
        if encoding is not None:
            self.encoding = encoding
            self._decoder = self._stream.begin_container() if encoding == "container" else RawDecoder(encoding)

    def default_windows(self, chunk_s: float | None = None) -> LiveConfig:
        """The windows of a client that names none, or none but their length; they overlap by no more than they may.

        Raises:
            InvalidRequest: `chunk_s` is out of range.
        """
        if chunk_s is None:
            return self._defaults
        return LiveConfig(chunk_s, max(0.0, min(self._defaults.overlap_s, chunk_s - MIN_SECONDS)))

    async def samples(self, data: bytes) -> tuple[NDArray[np.float32], int]:
        """The samples that arrived with these bytes, float32 (n,), and their rate in Hz.

        Raises:
            InvalidRequest: no encoding is configured, or a container failed before.
            UnreadableMedia: a container is broken.
            TooLarge: a container holds too much.
        """
        if self._decoder is None:
            raise InvalidRequest("bytes came before a config that names their encoding")
        if isinstance(self._decoder, RawDecoder):
            return self._decoder.feed(data), self.rate
        samples, rate = joined(await self._decoder.feed(data))
        return samples, rate or self._stream.session.rate

    async def text(
        self, audio_data: str | list[float], rate: int | None, encoding: str | None
    ) -> tuple[NDArray[np.float32], int]:
        """The samples of audio that came as text, float32 (n,), and their rate in Hz.

        Args:
            audio_data: base64, numbers, or a string that holds an array of them.
            rate: as the chunk says, in Hz; None: the configured one.
            encoding: as the chunk says; the configured one unless it names one of samples, else float32.

        Raises:
            BonafideError: as `samples`, or the text is none of these.
        """
        stated = raw_encoding(encoding)
        if stated is None and self.encoding == "container" and isinstance(audio_data, str) and not is_array(audio_data):
            return await self.samples(text_bytes(audio_data))
        configured = raw_encoding(self.encoding) or "float32"
        samples = text_samples(audio_data, stated or configured, stated=stated is not None)
        return samples, self.rate if rate is None else rate


def joined(blocks: list[Block]) -> tuple[NDArray[np.float32], int]:
    """The samples of all blocks, float32 (n,), and their rate in Hz; 0 when there are no blocks.

    Raises:
        InvalidRequest: blocks of several rates.
    """
    rates = {block.rate for block in blocks}
    if len(rates) > 1:
        raise InvalidRequest("the sample rate changes within the container")
    return np.concatenate([np.zeros(0, np.float32), *[block.samples for block in blocks]]), max(rates, default=0)

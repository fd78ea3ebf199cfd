"""Decodes the bytes of a session in the encoding and rate that are configured now. Shared by every transport."""

from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.codec_reader import CODEC_RATES, G722_SAMPLES, Codec
from bonafide.audio.conditions import is_lossy
from bonafide.audio.mono import Block
from bonafide.audio.resampling import SAMPLE_RATE
from bonafide.decoders.containers import ContainerStream
from bonafide.errors import InvalidRequest
from bonafide.live.formats import RawDecoder, RawEncoding, is_array, raw_encoding, text_bytes, text_samples
from bonafide.live.interleaved import Interleaved
from bonafide.live.limits import MIN_SECONDS, LiveConfig, check_rate, check_samples
from bonafide.live.stream import LiveStream

Encoding = Literal[RawEncoding, Codec, "container"]
ENCODINGS: tuple[str, ...] = get_args(Encoding)

G711_RATE = 8_000
_RATES: dict[Encoding, int] = {
    "mulaw": G711_RATE,
    "alaw": G711_RATE,
    "g722": CODEC_RATES["g722"],
    "opus": CODEC_RATES["opus"],
}
_CODEC_CHANNELS: dict[str, int] = {"g722": 1, "opus": 2}


class AudioInputDecoder:
    """Decodes the bytes of one session; a configuration is applied completely or not at all.

    Attributes:
        rate: Hz of raw samples.
        encoding: of bytes; None until it is configured.
        channels: that are interleaved in raw samples; None where the stream says itself.
    """

    def __init__(self, stream: LiveStream) -> None:
        self.rate = SAMPLE_RATE
        self.encoding: Encoding | None = None
        self.channels: int | None = 1
        self._stream = stream
        self._defaults = stream.session.config
        self._overlap_named = False
        self._decoder: RawDecoder | ContainerStream | None = None
        self._mixer: Interleaved | None = None
        self._begun = False

    def configure(
        self,
        *,
        rate: int | None = None,
        encoding: Encoding | None = None,
        channels: int | None = None,
        chunk_s: float | None = None,
        overlap_s: float | None = None,
        mode: ChannelMode | None = None,
    ) -> None:
        """Applies the values that are given. With an encoding, or other channels, a new stream of bytes begins.

        Raises:
            InvalidRequest: a value is out of range, or contradicts another, or the choice of channels comes too late;
                nothing is changed.
            TooLarge: too many channels to judge each.
        """
        session = self._stream.session
        in_force = encoding or self.encoding
        if rate is None:
            rate = default_rate(encoding) or self.rate
        check_rate(rate)
        _check_codec_rate(in_force, rate)
        if channels is not None:
            _check_channels(in_force, channels, self._stream.max_channels)
        channels = _channels_in_force(in_force, channels, self.channels)
        if chunk_s is None:
            chunk_s = session.config.chunk_s
        named = overlap_s is not None
        if overlap_s is None:
            overlap_s = session.config.overlap_s if self._overlap_named else self.default_windows(chunk_s).overlap_s
        windows = LiveConfig(chunk_s, overlap_s)
        mode = session.mode if mode is None else mode
        if channels is not None:
            mode.channels_apart(channels)
        other_mode = mode != session.mode
        if other_mode and self._begun:
            raise InvalidRequest("channel_mode is chosen before the first audio of a session")
        session.choose(mode)
        session.configure(windows)
        self._overlap_named = self._overlap_named or named
        other_rate = self._mixer is not None and rate != self.rate
        if encoding is not None or channels != self.channels or other_rate or other_mode:
            self._begin(in_force, channels, rate)
        self.rate, self.encoding, self.channels = rate, in_force, channels
        self._stream.codec = in_force or self._stream.codec

    def _begin(self, encoding: Encoding | None, channels: int | None, rate: int) -> None:
        """Begins a stream of bytes, and another mixing of channels; what waited to be mixed is dropped."""
        self._mixer = None
        if encoding in ("container", "g722", "opus"):
            self._decoder = self._stream.begin_container(None if encoding == "container" else encoding)
            return
        self._stream.end_source()
        channels = channels or 1
        if channels > 1:
            self._mixer = self._stream.begin_interleaved(channels, rate)
        self._decoder = None if encoding is None else RawDecoder(cast(RawEncoding, encoding), channels)

    def default_windows(self, chunk_s: float | None = None) -> LiveConfig:
        """The windows of a client that names none, or none but their length; they overlap by no more than they may.

        Raises:
            InvalidRequest: `chunk_s` is out of range.
        """
        if chunk_s is None:
            return self._defaults
        return LiveConfig(chunk_s, max(0.0, min(self._defaults.overlap_s, chunk_s - MIN_SECONDS)))

    async def samples(self, data: bytes) -> list[Block]:
        """The audio that arrived with these bytes.

        Raises:
            InvalidRequest: no encoding is configured, or a container failed before.
            UnreadableMedia: a container is broken, or interleaved samples are not finite.
            TooLarge: a message of interleaved samples or of G.722 holds too much, and is not taken; or one of Opus or
                of a container does, which then has failed.
        """
        self._stream.received(data)
        if self._decoder is None:
            raise InvalidRequest("bytes came before a config that names their encoding")
        self._begun = True
        if isinstance(self._decoder, RawDecoder):
            self._heard_in(self.encoding)
            return [self._mixed(self._decoder.feed(data))]
        if self.encoding == "g722":
            self._stream.session.check_length(len(data) * G722_SAMPLES, self.rate)
        with self._stream.decoding():
            blocks = await self._decoder.feed(data)
        self._stream.session.lossy |= self._decoder.lossy
        return blocks

    def _heard_in(self, encoding: str | None) -> None:
        if encoding is not None and is_lossy(encoding):
            self._stream.session.lossy = True

    async def rest(self) -> list[Block]:
        """At the end of the session: what decoder or mixer held back."""
        if self._mixer is not None:
            return [self._mixer.finish()]
        if not isinstance(self._decoder, ContainerStream):
            return []
        return await self._decoder.finish()

    def _mixed(self, samples: NDArray[np.float32]) -> Block:
        """The audio that raw samples complete; whole frames of interleaved ones are refused or taken at once."""
        if self._mixer is None or self.channels is None:
            return Block(samples, self.rate)
        self._stream.session.check_length(len(samples) // self.channels, self.rate)
        check_samples(samples)
        return self._mixer.feed(samples)

    async def text(self, audio_data: str | list[float], rate: int | None, encoding: str | None) -> list[Block]:
        """The audio that came as text.

        Args:
            audio_data: base64, numbers, or a string that holds an array of them.
            rate: as the chunk says, in Hz; None: the configured one.
            encoding: as the chunk says; the configured one unless it names one of samples, else float32.

        Raises:
            BonafideError: as `samples`; or the text is none of these, names a codec that is not configured, or holds no
                whole number of samples of each channel at the configured rate.
        """
        stated = raw_encoding(encoding)
        if encoding in CODEC_RATES and encoding != self.encoding:
            raise InvalidRequest(f"chunks of {encoding} need a config that names it: they are one stream")
        is_bytes = isinstance(audio_data, str) and not is_array(audio_data)
        if stated is None and is_bytes and isinstance(self._decoder, ContainerStream):
            return await self.samples(text_bytes(cast(str, audio_data)))
        configured = raw_encoding(self.encoding) or "float32"
        if self._stream.records_media and is_bytes:
            self._stream.received(text_bytes(cast(str, audio_data)))
        samples = text_samples(audio_data, stated or configured, stated=stated is not None)
        if is_bytes:
            self._heard_in(stated or configured)
        elif self._stream.records_media:
            self._stream.received(samples.astype("<f4").tobytes())
        rate = self.rate if rate is None else rate
        self._begun = True
        if self._mixer is None or self.channels is None:
            return [Block(samples, rate)]
        if rate != self.rate:
            raise InvalidRequest(f"interleaved channels keep the configured sample rate, {self.rate} Hz")
        if len(samples) % self.channels:
            raise InvalidRequest(f"{len(samples)} samples are no whole number for each of {self.channels} channels")
        return [self._mixed(samples)]


def default_rate(encoding: str | None) -> int | None:
    """The sample rate in Hz that an encoding has unless another is named; None: it has none of its own."""
    return _RATES.get(cast(Encoding, encoding))


def _check_codec_rate(encoding: str | None, rate: int) -> None:
    wanted = CODEC_RATES.get(cast(Codec, encoding))
    if wanted not in (None, rate):
        clock = ", although its clock in RTP counts 8000" if encoding == "g722" else ", whatever was encoded"
        raise InvalidRequest(f"{encoding} is decoded at {wanted} Hz{clock}: leave sample_rate out, or send {wanted}")


def _check_channels(encoding: str | None, channels: int, most: int) -> None:
    if encoding == "container":
        raise InvalidRequest("a container says how many channels it has: leave channels out")
    most = _CODEC_CHANNELS.get(encoding or "", most)
    if not 1 <= channels <= most:
        raise InvalidRequest(f"channels must be 1 to {most}{f' with {encoding}' if encoding else ''}")


def _channels_in_force(encoding: str | None, named: int | None, before: int | None) -> int | None:
    """Channels of raw samples; those of a codec or a container are never what the samples before had."""
    if encoding in ("container", "opus"):
        return None
    return 1 if encoding == "g722" else named or before or 1

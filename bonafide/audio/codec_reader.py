"""Audio of a codec without a container, in parts: G.722, or Opus packets behind their lengths; mono blocks out.

The decoder of FFmpeg keeps its state from part to part, so that the same bytes give the same samples however they are
cut. Its memory is bounded by one part and its decoded samples.
"""

from collections.abc import Iterator
from typing import Literal

import av.error
from av.audio.frame import AudioFrame
from av.packet import Packet

from bonafide.audio.ffmpeg import bare_decoder
from bonafide.audio.mono import Block, MonoMixer
from bonafide.audio.opus_packets import OpusPackets
from bonafide.audio.plausibility import LEAST_CANCELLED_S, cancelled
from bonafide.audio.reader import AudioLimits
from bonafide.errors import TooLarge, UnreadableMedia

Codec = Literal["g722", "opus"]

CODEC_RATES: dict[Codec, int] = {"g722": 16_000, "opus": 48_000}
"""Hz of what is decoded, whatever was encoded."""
G722_SAMPLES = 2
"""In a byte."""
_LAYOUTS: dict[Codec, str] = {"g722": "mono", "opus": "stereo"}
"""Of Opus each packet says itself whether it is mono, and is then decoded as two equal channels."""
_G722_PIECE = 8_192
_MAX_DAMAGED = 50
"""Packets without sound, one after the other: a second of a call."""


def most_of(codec: Codec | None, limits: AudioLimits) -> tuple[int, int]:
    """Highest sample rate in Hz and most channels of a stream; what a codec always has is no matter of the limits."""
    if codec is None:
        return limits.max_sample_rate, limits.max_channels
    return max(CODEC_RATES[codec], limits.max_sample_rate), max(2, limits.max_channels)


class CodecReader:
    """One stream, from its first byte on; useless once it has raised.

    Args:
        codec: of the stream.
        limits: on channels and sample rate.
        max_part_s: most seconds of audio that one part may hold.

    Attributes:
        seconds: audio decoded so far.
    """

    def __init__(self, codec: Codec, limits: AudioLimits, max_part_s: float) -> None:
        self._decoder = bare_decoder(codec, CODEC_RATES[codec], _LAYOUTS[codec])
        most_rate, most_channels = most_of(codec, limits)
        self._mixer = MonoMixer(most_channels, most_rate)
        self._packets = OpusPackets() if codec == "opus" else None
        self._max_part_s = max_part_s
        self._damaged = self._damaged_now = 0
        self.seconds = 0.0

    @property
    def warnings(self) -> list[str]:
        """What is odd about the audio so far, as sentences."""
        found = []
        if self._mixer.cancelled_s >= LEAST_CANCELLED_S:
            found.append(cancelled(self._mixer.cancelled_s))
        if self._damaged:
            found.append(f"damaged packets that were skipped: {self._damaged}")
        return found

    def feed(self, data: bytes) -> list[Block]:
        """The audio that a part completes, in order.

        Raises:
            UnreadableMedia: no lengths of packets, or packets that cannot be decoded, one after the other.
            TooLarge: more seconds than a part may hold.
        """
        if self._packets is not None:
            packets = self._packets.feed(data)
        else:
            packets = [data[start : start + _G722_PIECE] for start in range(0, len(data), _G722_PIECE)]
        blocks: list[Block] = []
        part_s = 0.0
        for packet in packets:
            for block in self._decoded(packet):
                blocks.append(block)
                part_s += len(block.samples) / block.rate
            if part_s > self._max_part_s:
                raise TooLarge(f"more than {self._max_part_s:g} s of audio in one message")
        self.seconds += part_s
        return blocks

    def finish(self) -> list[Block]:
        """What decoder and mixer held back; nothing can be fed afterwards. An incomplete packet is damaged."""
        self._damaged += self._packets is not None and self._packets.incomplete
        blocks = [*self._decoded(None), *self._mixer.rest()]
        self.seconds += sum(len(block.samples) / block.rate for block in blocks)
        return blocks

    def close(self) -> None:
        """Nothing is to be freed."""

    def _decoded(self, packet: bytes | None) -> Iterator[Block]:
        """The sound of a packet, or of the end; none of one that is damaged."""
        try:
            frames: list[AudioFrame] = self._decoder.decode(None if packet is None else Packet(packet))
        except av.error.FFmpegError as error:
            self._damaged += 1
            self._damaged_now += 1
            if self._damaged_now >= _MAX_DAMAGED:
                raise UnreadableMedia(f"{_MAX_DAMAGED} packets in a row cannot be decoded") from error
            return
        self._damaged_now = 0
        for frame in frames:
            yield from self._mixer.blocks(frame)

"""A live container, or a codec without one, as blocks, decoded in a process of its own."""

from dataclasses import asdict

from bonafide.audio.channel_mode import MIX, ChannelMode
from bonafide.audio.codec_reader import Codec, most_of
from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits
from bonafide.decoders.codec import unpacked_blocks
from bonafide.decoders.pool import DecoderPool
from bonafide.errors import BonafideError, InvalidRequest

_BYTES_PER_SAMPLE = 4


class ContainerStream:
    """One container, from its header on, or one stream of a codec. Must be closed, or its process stays.

    Args:
        pool: provides the process.
        limits: on channels and sample rate.
        max_message_s: most seconds of audio that one part may hold.
        codec: of a stream without a container; None: the container says.
        mode: which channels are judged, so that they come apart.

    Attributes:
        warnings: what is odd about the audio so far, as sentences.
        lossy: whether its codec loses something, as far as it is known.
    """

    def __init__(
        self,
        pool: DecoderPool,
        limits: AudioLimits,
        max_message_s: float,
        codec: Codec | None = None,
        mode: ChannelMode = MIX,
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._max_message_s = max_message_s
        self._codec = codec
        self._mode = mode
        rate, channels = most_of(codec, limits)
        rows = 1 + {"mix": 0, "auto": 2}.get(mode.kind, channels)
        self._most_bytes = int(max_message_s * rate) * _BYTES_PER_SAMPLE * rows
        self._job = pool.begin()
        self._begun = self._failed = False
        self.warnings: list[str] = []
        self.lossy = False

    async def feed(self, data: bytes) -> list[Block]:
        """The audio that a part completes, in order.

        Raises:
            UnreadableMedia: not one of these containers or not this codec, broken, samples that are not
                finite, or it took too long.
            TooLarge: too many channels, a sample rate or a number of seconds beyond the limits.
            InvalidRequest: the container has failed before.
            Unavailable: no process could be started.
        """
        if self._failed:
            what = "container" if self._codec is None else f"{self._codec} stream"
            raise InvalidRequest(f"this {what} has failed; begin another one with config")
        request: dict[str, object] = {"do": "feed"}
        if not self._begun:
            request = {
                "do": "container",
                "codec": self._codec,
                "channel_mode": str(self._mode),
                "limits": asdict(self._limits),
                "most_s": self._max_message_s,
            }
            self._begun = True
        return await self._asked(request, data)

    async def finish(self) -> list[Block]:
        """At the end: the audio that was held back, to be decoded or mixed. None once it failed.

        What goes wrong is a warning: all that came before stands.
        """
        if not self._begun or self._failed:
            return []
        try:
            blocks = await self._asked({"do": "finish"}, b"")
        except BonafideError as error:
            self.warnings = [*self.warnings, f"the last samples could not be decoded: {error.message}"]
            return []
        self.close()
        self._failed = True  # nothing can follow
        return blocks

    async def _asked(self, request: dict[str, object], data: bytes) -> list[Block]:
        self._failed = True  # unless the process answers
        try:
            async with self._job.slot():
                answer = await self._job.ask(request, data, most_bytes=self._most_bytes)
        except BonafideError:
            self.close()
            raise
        self._failed = False
        self.warnings = [str(warning) for warning in answer.header["warnings"]]
        self.lossy = bool(answer.header["lossy"])
        return unpacked_blocks(answer.header["blocks"], answer.payload)

    def close(self) -> None:
        """Ends the process."""
        self._pool.end(self._job)

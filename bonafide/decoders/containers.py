"""A live container as mono blocks, decoded in a process of its own."""

from dataclasses import asdict

from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits
from bonafide.decoders.codec import unpacked_blocks
from bonafide.decoders.pool import DecoderPool
from bonafide.errors import BonafideError, InvalidRequest

_BYTES_PER_SAMPLE = 4


class ContainerStream:
    """One container, from its header on. Must be closed, or its process stays.

    Args:
        pool: provides the process.
        limits: on channels and sample rate.
        max_message_s: most seconds of audio that one part may hold.

    Attributes:
        warnings: what is odd about the audio so far, as sentences.
    """

    def __init__(self, pool: DecoderPool, limits: AudioLimits, max_message_s: float) -> None:
        self._pool = pool
        self._limits = limits
        self._max_message_s = max_message_s
        self._most_bytes = int(max_message_s * limits.max_sample_rate) * _BYTES_PER_SAMPLE
        self._job = pool.begin()
        self._begun = self._failed = False
        self.warnings: list[str] = []

    async def feed(self, data: bytes) -> list[Block]:
        """The audio that a part completes, in order.

        Raises:
            UnreadableMedia: not one of these containers, broken, samples that are not finite, or it took too long.
            TooLarge: too many channels, a sample rate or a number of seconds beyond the limits.
            InvalidRequest: the container has failed before.
            Unavailable: no process could be started.
        """
        if self._failed:
            raise InvalidRequest("this container has failed; begin another one with config")
        request: dict[str, object] = {"do": "feed"}
        if not self._begun:
            request = {"do": "container", "limits": asdict(self._limits), "most_s": self._max_message_s}
            self._begun = True
        self._failed = True  # unless the process answers
        try:
            async with self._job.slot():
                answer = await self._job.ask(request, data, most_bytes=self._most_bytes)
        except BonafideError:
            self.close()
            raise
        self._failed = False
        self.warnings = [str(warning) for warning in answer.header["warnings"]]
        return unpacked_blocks(answer.header["blocks"], answer.payload)

    def close(self) -> None:
        """Ends the process."""
        self._pool.end(self._job)

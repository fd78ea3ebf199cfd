"""A WebSocket message over the limit is skipped while it arrives, and never held; one of ours takes its place.

websockets would fail the connection with 1009.
"""

from collections.abc import Generator
from typing import Any

from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

TOO_LARGE = '{"type": "too_large"}'
"""What handlers get in place of a message that was skipped."""
MOST_SKIPPED = 64 * 1024 * 1024
"""A message over it still closes the connection."""


class _SkippingReader(StreamReader):
    """Reads payloads over the limit without keeping them.

    Args:
        limit: most bytes that are returned.

    Attributes:
        skipped: size of the payload that was read last, if it was over the limit, else 0.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self.skipped = 0

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        """See websockets."""
        if n <= self._limit:
            return (yield from super().read_exact(n))
        if n > MOST_SKIPPED:
            raise PayloadTooBig(n, self._limit)
        left = n
        while left:
            taken = min(left, len(self.buffer))
            del self.buffer[:taken]
            left -= taken
            if left and self.eof:
                raise EOFError(f"stream ends {left} bytes before the end of a frame")
            if left:
                yield
        self.skipped = n
        return bytearray()


class SkippingProtocol(ServerProtocol):
    """One connection; see websockets. A message in several fragments that are too large together still closes it.

    Args:
        max_size: bytes of a message.
        others: see websockets.
    """

    def __init__(self, *, max_size: int, **others: Any) -> None:
        self._max_size = max_size
        super().__init__(max_size=None, **others)
        self.reader: _SkippingReader = _SkippingReader(max_size)
        # The parser that the base class has started reads from the reader that it made.
        self.parser = self.parse()
        next(self.parser)

    @property
    def max_message_size(self) -> int | None:
        """None at the beginning of a message, whose size the reader checks; while its fragments come, the limit."""
        return None if self.current_size is None else self._max_size

    @max_message_size.setter
    def max_message_size(self, _: int | None) -> None:
        """The base class sets what it was given; there is nothing to keep."""

    def recv_frame(self, frame: Frame) -> None:
        """See websockets."""
        if skipped := self.reader.skipped:
            self.reader.skipped = 0
            if not frame.fin or frame.opcode not in (Opcode.TEXT, Opcode.BINARY):
                raise PayloadTooBig(skipped, self._max_size)
            frame.opcode, frame.data = Opcode.TEXT, TOO_LARGE.encode()
        super().recv_frame(frame)

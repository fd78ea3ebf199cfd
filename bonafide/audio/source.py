"""What FFmpeg is given to read: the recording's bytes, seekable, with a bound on the CPU time between two packets."""

import time
from typing import Protocol

from bonafide.errors import UnreadableMedia


class Source(Protocol):
    """What FFmpeg reads. It may be a file that can seek, too."""

    def allow(self, cpu_s: float) -> None:
        """Grants the reading thread `cpu_s` seconds of work, from now on."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""


class AudioSource:
    """A file-like view of bytes between two offsets, behind an optional prefix; copies no more than what is read.

    Reading fails once the thread has worked longer than `allow` granted: some headers keep FFmpeg busy for hours.
    """

    def __init__(self, data: bytes, start: int = 0, end: int | None = None, prefix: bytes = b"") -> None:
        self._prefix = prefix
        self._view = memoryview(data)[start:end]
        self._position = 0
        self._deadline = float("inf")

    @property
    def unread(self) -> int:
        """Bytes from the position to the end."""
        return max(0, len(self._prefix) + len(self._view) - self._position)

    def allow(self, cpu_s: float) -> None:
        """Grants this thread `cpu_s` seconds of work, from now on."""
        self._deadline = time.thread_time() + cpu_s

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end.

        Raises:
            UnreadableMedia: the granted time is over.
        """
        if time.thread_time() > self._deadline:
            raise UnreadableMedia("the recording takes too long to open or to search for audio")
        start = self._position - len(self._prefix)
        if start < 0:
            taken = self._prefix[self._position : self._position + size]
        else:
            taken = bytes(self._view[start : start + size])
        self._position += len(taken)
        return taken

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves, like any file; returns the new position."""
        base = (0, self._position, len(self._prefix) + len(self._view))[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

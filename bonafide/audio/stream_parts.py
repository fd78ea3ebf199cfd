"""A stream that cannot seek as the recordings in it: FFmpeg is told that a file ends where the next begins."""

from typing import Protocol

from bonafide.audio import magic
from bonafide.audio.source import Source

_KEPT = 16
"""Bytes of what was read before that are searched again: no beginning of a file, and no header of a box, is longer."""


class StreamParts:
    """Reads one recording at a time; `begin` goes on with the next.

    Bytes are passed on as soon as they come. When only the next ones show that a file began among them, the recording
    before had a few bytes too much at its end, which hold no audio.

    Args:
        source: of the whole stream.
        demuxers: of all its recordings: matroska, ogg or mov.
    """

    def __init__(self, source: Source, demuxers: tuple[str, ...]) -> None:
        self._source = source
        self._boundary = _BOUNDARIES[demuxers[0]]
        self._rest: bytes | None = b""

    def begin(self) -> bool:
        """Goes on with the next recording; False if the one before was the last, or could not be read to its end."""
        if self._rest is None:
            return False
        self._pending, self._rest = self._rest, None
        self._find = self._boundary()
        self._tail = b""
        self._delivered = 0
        return True

    def allow(self, cpu_s: float) -> None:
        """See `Source`."""
        self._source.allow(cpu_s)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of this recording; none at its end."""
        if self._rest is not None:
            return b""
        new = self._pending[:size] or self._source.read(size)
        self._pending = self._pending[size:]
        seen = self._tail + new
        end = self._find.next_file(seen, self._delivered - len(self._tail))
        if end >= 0:
            self._rest = seen[end:] + self._pending
            new = seen[len(self._tail) : end]
        self._tail = seen[-_KEPT:]
        self._delivered += len(new)
        return new


class _Boundary(Protocol):
    """Finds where the next file begins in a stream."""

    def next_file(self, data: bytes, position: int) -> int:
        """Offset within `data`, else -1; `position` of its first byte in the recording, which began at 0."""


class _Matroska:
    def next_file(self, data: bytes, position: int) -> int:
        return magic.find(data, magic.MATROSKA, 0 if position else 1)


class _Ogg:
    """A new chain: a first page behind pages that are none."""

    def __init__(self) -> None:
        self._has_begun = False

    def next_file(self, data: bytes, position: int) -> int:
        start = 0
        if not self._has_begun:
            start = magic.find(data, magic.OGG_LATER_PAGE, 0)
            self._has_begun = start >= 0
        return magic.find(data, magic.OGG, start) if self._has_begun else -1


class _Mp4:
    """An outermost `ftyp` box behind a header."""

    def __init__(self) -> None:
        self._at: int | None = 0
        self._has_begun = False

    def next_file(self, data: bytes, position: int) -> int:
        while self._at is not None and self._at - position + 8 <= len(data):
            at = self._at - position
            size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
            if name == b"ftyp" and self._has_begun:
                return at
            if size == 1:
                if at + 16 > len(data):
                    break
                size = int.from_bytes(data[at + 8 : at + 16], "big")
            self._has_begun |= name in {b"moov", b"moof", b"mdat"}
            self._at = self._at + size if size >= 8 else None
        return -1


_BOUNDARIES: dict[str, type[_Boundary]] = {"matroska": _Matroska, "ogg": _Ogg, "mov": _Mp4}

"""Matroska and WebM: how far a file reaches, by the size of its segment or by the header of the next file."""

import re

from bonafide.audio import magic
from bonafide.audio.part import Part

_SEGMENT = b"\x18\x53\x80\x67"
_CLUSTER = b"\x1f\x43\xb6\x75"
_IN_SEGMENT = re.compile(rb"\x1f\x43\xb6\x75|\xa3(?:[\x80-\xff]|[\x40-\x7f].)[\x81\x82]", re.DOTALL)
"""A cluster, or a block of one of the first tracks: neither is ever outside a segment."""
_VOID = b"\xec"
_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


def matroska_part(data: bytes, start: int) -> Part:
    """The file that begins with an EBML header at `start`."""
    at = _behind(data, start + 4)
    if data[at : at + 1] == _VOID:
        at = _behind(data, at + 1)
    if data[at : at + 4] != _SEGMENT:
        return Part(("matroska",), start, magic.end_before(data, (magic.MATROSKA,), start + 4))
    size, length = _size(data, at + 4)
    body = at + 4 + length
    if size is None:
        end = _beginning_of_next(data, body)
        return Part(("matroska",), start, end, missing=_missing_of_last_cluster(data, body, end))
    end = magic.end_before(data, (magic.MATROSKA,), body, min(body + size, len(data)))
    if end < body + size:
        return Part(("matroska",), start, end, missing=body + size - end)
    if not _IN_SEGMENT.match(data, end):
        return Part(("matroska",), start, end, missing=0)
    # The recorder died before it wrote the final size.
    prefix = data[start : at + 4] + _UNKNOWN_SIZE
    last = magic.end_before(data, magic.STARTS, end)
    missing = _missing_of_last_cluster(data, end, last)
    return Part(("matroska",), body, last, prefix, missing=missing, stated=size)


def _beginning_of_next(data: bytes, body: int) -> int:
    """Where the file ends whose segment's content begins at `body`, and whose size does not tell."""
    end = magic.end_before(data, (magic.MATROSKA,), body)
    clusters = data.find(_CLUSTER, body, end)  # before them, a codec's header may be that of a FLAC file
    return end if clusters < 0 else magic.end_before(data, magic.STARTS, clusters, end)


def _missing_of_last_cluster(data: bytes, start: int, end: int) -> int | None:
    """Bytes that the last cluster promises behind the end; None if it does not tell."""
    at = data.rfind(_CLUSTER, start, end)
    if at < 0:
        return None
    size, length = _size(data, at + 4)
    return None if size is None else max(0, at + 4 + length + size - end) or None


def _behind(data: bytes, at: int) -> int:
    """Offset behind an element of known size whose size field is at `at`."""
    size, length = _size(data, at)
    return at + length + (size or 0)


def _size(data: bytes, at: int) -> tuple[int | None, int]:
    """An element's size, None for unknown, and the length of that field in bytes, at least 1."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8:
        return None, 1
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), length

"""MP4: how far a file reaches, by the sizes of its outermost boxes."""

import re

from bonafide.audio import magic
from bonafide.audio.part import Part

_MAX_BOXES = 1_000_000
_NAME = re.compile(rb"[A-Za-z0-9\xa9 _-]{4}")
_MAY_BE_CUT = frozenset({b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"meta", b"mfra", b"sidx"})
"""Outermost boxes; what has another name and does not fit is no box."""
_CONTENT = frozenset({b"moov", b"moof", b"mdat"})


def mp4_part(data: bytes, start: int) -> Part:
    """The file that begins at `start`, to the `ftyp` box of the next, or to what is no box."""
    at, media = start, 0
    seen: set[bytes] = set()
    for _ in range(_MAX_BOXES):
        size, name, header = _box(data, at)
        is_cut = at + size > len(data)
        if not size or (is_cut and name not in _MAY_BE_CUT) or (name == b"ftyp" and seen & _CONTENT):
            break
        seen.add(name)
        # What was cut may have been followed by another file.
        end = magic.end_before(data, (magic.MP4,), at + header, len(data) if size < 0 else min(at + size, len(data)))
        if name == b"mdat":
            media += end - at - header
        if size > end - at:
            return Part(("mov",), start, end, missing=at + size - end, media=media)
        at = end
    if not seen:
        at = magic.end_before(data, (magic.MP4,), start + 8)
    # Whether fragments are missing behind the last one, sizes do not tell.
    return Part(("mov",), start, at, missing=None if b"moof" in seen else 0, media=media)


def _box(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Size, name and header's length of the box at an offset; size 0: no box, -1: it ends with the file."""
    header, name = 8, data[at + 4 : at + 8]
    size = int.from_bytes(data[at : at + 4], "big")
    if not _NAME.fullmatch(name):
        return 0, b"", 0
    if size == 1:
        header, size = 16, int.from_bytes(data[at + 8 : at + 16], "big")
    elif size == 0:
        return -1, name, header
    return (size, name, header) if size >= header else (0, b"", 0)

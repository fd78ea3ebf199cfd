"""How files begin that may follow another, told by more bytes than audio data holds by chance."""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Magic(NamedTuple):
    """The beginning of a file.

    Attributes:
        literal: fixed bytes in it, which are quickly found.
        offset: of these from the beginning.
        pattern: matches the whole beginning.
    """

    literal: bytes
    offset: int
    pattern: re.Pattern[bytes]


MATROSKA = Magic(
    b"\x1a\x45\xdf\xa3",
    0,
    re.compile(
        # The size of the EBML header, one to eight bytes, and the first element in it.
        rb"\x1a\x45\xdf\xa3"
        rb"(?:[\x80-\xff]|[\x40-\x7f].|[\x20-\x3f].{2}|[\x10-\x1f].{3}|\x08.{4}|\x04.{5}|\x02.{6}|\x01.{7})"
        rb"(?:\x42[\x82\x85-\x87\xf2\xf3\xf7]|[\xbf\xec])",
        re.DOTALL,
    ),
)
WAV = Magic(
    b"WAVE",
    8,
    re.compile(rb"(?:RIF[FX]|RF64|BW64).{4}WAVE(?:fmt |JUNK|junk|bext|ds64|LIST|fact|PAD |FLLR|iXML|id3 )", re.DOTALL),
)
W64 = Magic(
    b"\x91\xcf\x11\xa5\xd6\x28\xdb", 5, re.compile(rb"riff.\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", re.DOTALL)
)
MP4 = Magic(b"ftyp", 4, re.compile(rb"\0\0\0[\x08-\xff]ftyp[A-Za-z0-9]{2}[A-Za-z0-9 _]{2}"))
OGG = Magic(b"OggS\0", 0, re.compile(rb"OggS\0[\x02\x06]\0{8}"))
"""A first page of a stream."""
OGG_LATER_PAGE = Magic(b"OggS\0", 0, re.compile(rb"OggS\0[\0\x01\x04\x05]"))
FLAC = Magic(b"fLaC", 0, re.compile(rb"fLaC[\0\x80]\0\0\x22"))
AMR = Magic(b"#!AMR", 0, re.compile(rb"#!AMR(?:-WB)?\n"))
STARTS = (WAV, W64, MATROSKA, MP4, AMR, OGG, FLAC)
"""All of them: of what may follow a file whose end is not known."""

_LONGEST = 32
_STRIDE = 1 << 20


def find(data: bytes | bytearray, magic: Magic, start: int, end: int | None = None) -> int:
    """Offset of the first such beginning that lies from `start` to `end`; -1 if there is none."""
    end = len(data) if end is None else end
    at = data.find(magic.literal, start + magic.offset, end)
    while at >= 0:
        if magic.pattern.match(data, at - magic.offset, end):
            return at - magic.offset
        at = data.find(magic.literal, at + 1, end)
    return -1


def end_before(data: bytes, magics: Iterable[Magic], start: int, end: int | None = None) -> int:
    """Offset of the first of these beginnings from `start` on, else `end`, or the end of the data.

    The work grows with the distance, so that many short files are as quick as a long one.
    """
    magics, end = tuple(magics), len(data) if end is None else end
    for begin in range(start, end, _STRIDE):
        window = min(begin + _STRIDE + _LONGEST, end)
        found = [at for magic in magics if (at := find(data, magic, begin, window)) >= 0]
        if found:
            return min(found)
    return end

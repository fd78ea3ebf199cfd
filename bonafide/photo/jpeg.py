"""The structure of a JPEG, by its markers: how many scans it has, and whether its end is there. Decodes nothing."""

import re
from typing import NamedTuple

from bonafide.errors import UnreadableMedia

END = b"\xff\xd9"

_MAX_SEGMENTS = 4_096
"""A colour profile or extended XMP fills 256 of them, the tables of a progressive photo some dozen."""
_SCAN = 0xDA
_STUFFED_OR_RESTART = rb"\x00\x01\xd0-\xd7\xff"
_NEXT_MARKER = re.compile(rb"\xff[^" + _STUFFED_OR_RESTART + rb"]")


class Structure(NamedTuple):
    """What the markers say.

    Attributes:
        scans: passes over all pixels; 1 in a baseline photo, about 10 in a progressive one.
        end: offset behind the end marker; None where it is missing. What follows, as the film of a motion photo, does
            not belong to the picture.
    """

    scans: int
    end: int | None


def structure(data: bytes) -> Structure:
    """Walks from marker to marker.

    Raises:
        UnreadableMedia: so many segments that decoding them would take longer than the picture.
    """
    scans = 0
    found = _NEXT_MARKER.search(data, 2)
    for _ in range(_MAX_SEGMENTS):
        if found is None:
            return Structure(scans, None)
        marker, at = data[found.start() + 1], found.end()
        if marker == END[1]:
            return Structure(scans, at)
        scans += marker == _SCAN
        found = _NEXT_MARKER.search(data, at + max(2, int.from_bytes(data[at : at + 2], "big")))
    raise UnreadableMedia("the JPEG has too many segments")

"""The structure of a JPEG, by its markers: its scans, its end, and what may be missing before it. Decodes nothing."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from bonafide.errors import UnreadableMedia

END = b"\xff\xd9"

_MAX_SEGMENTS = 4_096
"""A colour profile or extended XMP fills 256 of them, the tables of a progressive photo some dozen."""
_SCAN = 0xDA
_PROGRESSIVE = (0xC2, 0xCA)
_FRAMES = (0xC0, 0xC1, 0xC9, *_PROGRESSIVE)
"""Of those that libjpeg decodes."""
_COEFFICIENTS = 64
_STUFFED_OR_RESTART = rb"\x00\x01\xd0-\xd7\xff"
_NEXT_MARKER = re.compile(rb"\xff[^" + _STUFFED_OR_RESTART + rb"]")
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_FIRST_RESTART, _RESTARTS = 0xD0, 8
_NOISE = bytes((0xB6, *range(0xFE, 0, -1))) * 16
"""Begins with bits that few codes end in: libjpeg takes zeros for what is missing, as in the last blocks of a photo."""
_UNWRITTEN = 64
"""So many zeros at the end were never written: fewer may be blocks without detail."""


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
    scans, end = 0, None
    for marker, at in _segments(data):
        scans += marker == _SCAN
        if marker == END[1]:
            end = at
    return Structure(scans, end)


def written(data: bytes) -> tuple[bytes, ...]:
    """What may have been written of a JPEG whose end is missing, without the first half of a marker, or of a byte 255.

    Of zeros to the end the first may have been: many pictures end with one.
    """
    before_zeros = data.rstrip(b"\0")
    if len(data) - len(before_zeros) < _UNWRITTEN:
        return (data.rstrip(b"\xff"),)
    return before_zeros.rstrip(b"\xff"), before_zeros + b"\0"


def lacks_scans(data: bytes) -> bool:
    """Whether there are coefficients that no scan has given to its last bit, as where a progressive photo is cut off.

    Raises:
        UnreadableMedia: as `structure`.
    """
    missing: dict[int, set[int]] = {}
    progressive = False
    for marker, at in _segments(data):
        body = data[at + 2 : at + int.from_bytes(data[at : at + 2], "big")]
        if marker in _FRAMES:
            progressive = marker in _PROGRESSIVE
            missing = {component: set(range(_COEFFICIENTS)) for component in body[6::3]}
        elif marker == _SCAN and body:
            after = 1 + 2 * body[0]
            first, last, bits = body[after : after + 3].ljust(3, b"\xff")
            given = range(first, last + 1) if progressive else range(_COEFFICIENTS)
            for component in body[1:after:2]:
                if not (progressive and bits & 0xF):  # bits that a later scan gives
                    missing.get(component, set()).difference_update(given)
    return any(missing.values())


def any_rest(data: bytes) -> bytes:
    """What would be taken for the rest of a JPEG of which some is missing; behind the whole one nothing of it is read.

    Args:
        data: see `written`.
    """
    begin = max((at for marker, at in _segments(data) if marker == _SCAN), default=0)
    restarts = _RESTART.findall(data, begin)
    # Noise up to the next restart is skipped where all before it is there.
    following = _FIRST_RESTART + ((restarts[-1][0] - _FIRST_RESTART + 1) % _RESTARTS if restarts else 0)
    return _NOISE + bytes((0xFF, following)) + _NOISE


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The second byte of each marker up to the end's, and the offset behind it."""
    found = _NEXT_MARKER.search(data, 2)
    for _ in range(_MAX_SEGMENTS):
        if found is None:
            return
        marker, at = data[found.start() + 1], found.end()
        yield marker, at
        if marker == END[1]:
            return
        found = _NEXT_MARKER.search(data, at + max(2, int.from_bytes(data[at : at + 2], "big")))
    raise UnreadableMedia("the JPEG has too many segments")

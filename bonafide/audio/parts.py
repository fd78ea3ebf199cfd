"""A file as the recordings that were joined to make it: each is read by itself, one after the other.

In: the bytes of the file. Out: parts, and how many bytes are in none. Where a format states its size, the next part is
looked for behind it; where it does not, up to the beginning of the next.
"""

import re

from bonafide.audio import magic
from bonafide.audio.containers import bare_flac, identify
from bonafide.audio.matroska import matroska_part
from bonafide.audio.mp4 import mp4_part
from bonafide.audio.part import Part
from bonafide.audio.wav import end_of_chunks, further_samples, w64_part, wav_part
from bonafide.errors import UnreadableMedia

_NOT_ZERO = re.compile(rb"[^\0]")
_FILE = re.compile(
    rb"(?:RIF[FX]|RF64|BW64).{4}WAVE|riff.\x91\xcf\x11|\x1aE\xdf\xa3|OggS\0|.{4}ftyp|fLaC|#!AMR", re.DOTALL
)
"""Where a file may begin: weaker than what is searched for within audio data."""
_BUT_OGG_AND_FLAC = (magic.WAV, magic.MATROSKA, magic.MP4, magic.AMR)
_ALL = (*_BUT_OGG_AND_FLAC, magic.OGG, magic.FLAC)
_ID3V1, _ID3V1_BYTES = b"TAG", 128
_APE, _APE_FOOTER_BYTES = b"APETAGEX", 32
_MAX_TAGS = 1_000


def first_part(data: bytes) -> Part:
    """The recording with which a file begins.

    Raises:
        UnreadableMedia: none that is accepted, or its header cannot be read.
    """
    return _part(data, 0)


def next_part(data: bytes, before: Part) -> Part | None:
    """The recording that follows another, if there is one.

    Raises:
        UnreadableMedia: its header cannot be read.
    """
    if before.demuxers == ("wav",) and (more := further_samples(data, before)):
        return more
    at = _behind(data, before)
    start = _file_at(data, at)
    return None if start is None else _part(data, start)


def unread_bytes(data: bytes, before: Part) -> int:
    """How many bytes follow a part that are no tags, chunks or padding."""
    at = _behind(data, before)
    found = _NOT_ZERO.search(data, at)
    return len(data) - found.start() if found else 0


def _part(data: bytes, start: int) -> Part:
    found = identify(data, start)
    start = found.offset
    match found.demuxers:
        case ("wav",):
            return wav_part(data, start)
        case ("w64",):
            return w64_part(data, start)
        case ("mov",):
            return mp4_part(data, start)
        case ("matroska",):
            return matroska_part(data, start)
        case ("ogg",):
            return Part(found.demuxers, start, _end_of_ogg(data, start))
        case ("flac",):
            body, header = bare_flac(data, start)
            return Part(found.demuxers, body, magic.end_before(data, _ALL, body), header)
    return Part(found.demuxers, start, magic.end_before(data, _ALL, start + 1))


def _end_of_ogg(data: bytes, start: int) -> int:
    """A new chain begins with a first page behind pages that are none: several streams begin side by side.

    What looks like the beginning of a FLAC file may be the header of FLAC in Ogg.
    """
    later = magic.find(data, magic.OGG_LATER_PAGE, start)
    end = len(data) if later < 0 else magic.end_before(data, (magic.OGG,), later)
    return magic.end_before(data, _BUT_OGG_AND_FLAC, start, end)


def _file_at(data: bytes, at: int) -> int | None:
    """Where a file begins at an offset, or behind padding."""
    nonzero = _NOT_ZERO.search(data, at)
    if nonzero is None:
        return None
    # An MP4 begins with up to three zeros.
    places = (at, *range(max(at, nonzero.start() - 3), nonzero.start() + 1))
    return next((place for place in places if _FILE.match(data, place)), None)


def _behind(data: bytes, before: Part) -> int:
    """Offset behind a part and the chunks and tags that follow it."""
    at = end_of_chunks(data, before) if before.demuxers == ("wav",) else before.end
    for _ in range(_MAX_TAGS):
        tag = _tag_bytes(data, at)
        if not tag:
            break
        at += tag
    return min(at, len(data))


def _tag_bytes(data: bytes, at: int) -> int:
    """Length of the ID3 or APE tag at an offset, else 0."""
    if data.startswith(_ID3V1, at) and len(data) - at == _ID3V1_BYTES:
        return _ID3V1_BYTES
    if data.startswith(_APE, at):
        return _APE_FOOTER_BYTES + int.from_bytes(data[at + 12 : at + 16], "little")
    if data.startswith(b"ID3", at):
        size = data[at + 6 : at + 10]
        return 10 + sum((byte & 0x7F) << (7 * (3 - place)) for place, byte in enumerate(size))
    return 0

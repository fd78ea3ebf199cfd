"""A file as the recordings that were joined to make it: each is read by itself, one after the other.

In: the bytes of the file. Out: parts, and how many bytes are in none. Where a format states its size, the next part is
looked for behind it; where it does not, up to the beginning of the next.
"""

import re
from collections.abc import Iterator

from bonafide.audio import magic
from bonafide.audio.containers import bare_flac, id3_bytes, id3_bytes_before, identify
from bonafide.audio.matroska import matroska_part
from bonafide.audio.mp4 import mp4_part
from bonafide.audio.ogg import ogg_part
from bonafide.audio.part import Part
from bonafide.audio.wav import end_of_chunks, further_samples, w64_part, wav_part
from bonafide.errors import UnreadableMedia

_NOT_ZERO = re.compile(rb"[^\0]")
_FILE = re.compile(
    rb"(?:RIF[FX]|RF64|BW64).{4}WAVE|riff.\x91\xcf\x11|\x1aE\xdf\xa3|OggS\0|.{4}ftyp|fLaC|#!AMR", re.DOTALL
)
"""Where a file may begin: weaker than what is searched for within audio data."""
_ID3V2 = re.compile(rb"ID3[\x02-\x04]\0[\0\x10\x20\x40\x80][\0-\x7f]{4}")
_ID3V1, _ID3V1_BYTES = b"TAG", 128
_APE, _APE_FOOTER_BYTES = b"APETAGEX", 32
_MAX_TAGS = 100
_MAX_TOLD_TAGS = 10_000
"""Of a part; those behind them are counted, and their places are not kept."""
_PADDING = 64
"""So many zeros at the end of raw frames are padding."""
_BLOCK_BYTES = 1 << 16


def first_part(data: bytes) -> Part:
    """The recording with which a file begins.

    Raises:
        UnreadableMedia: none that is accepted, or its header cannot be read.
    """
    return _part(data, 0)


def next_part(data: bytes, before: Part) -> tuple[Part | None, int]:
    """The recording that follows another, if there is one, and how many bytes before it, or to the end, are lost.

    Tags, chunks and padding between recordings are not lost.
    """
    if before.demuxers == ("wav",) and (more := further_samples(data, before)):
        return more, 0
    at = _behind(data, before)
    first = _NOT_ZERO.search(data, at)
    if first is None:
        return None, 0
    # An MP4 begins with up to three zeros.
    places = (at, *range(max(at, first.start() - 3), first.start() + 1))
    start = next((place for place in places if _FILE.match(data, place)), None)
    unread = 0
    if start is None:
        start = magic.end_before(data, magic.STARTS, at)
        unread = start - first.start()
    try:
        return (_part(data, start), unread) if start < len(data) else (None, unread)
    except UnreadableMedia:
        return None, unread + len(data) - start


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
            return ogg_part(data, start)
        case ("flac",):
            body, header = bare_flac(data, start)
            end = _end_of_frames(data, body)
            return Part(found.demuxers, body, end, header, longest_packet=int.from_bytes(header[15:18], "big") or None)
    end = _end_of_frames(data, start + 1)
    tags: list[tuple[int, int]] = []
    media = end - start
    for begin, behind in _id3_tags(data, start, end):
        media -= behind - begin
        if len(tags) < _MAX_TOLD_TAGS:
            tags.append((begin, behind))
    return Part(found.demuxers, start, end, media=media, tags=tuple(tags))


def _id3_tags(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Offsets of the ID3 tags among frames, and behind them, where files were joined; they may hold pictures."""
    at = start
    while (found := _ID3V2.search(data, at, end)) is not None:
        begin, at = found.start(), min(found.start() + _tag_bytes(data, found.start()), end)
        yield begin, at


def _end_of_frames(data: bytes, start: int) -> int:
    """Offset behind raw frames: of another file, or of the tags and zeros at the end."""
    end = magic.end_before(data, magic.STARTS, start)
    for _ in range(_MAX_TAGS):
        if data.startswith(_ID3V1, end - _ID3V1_BYTES):
            end -= _ID3V1_BYTES
        elif tag := id3_bytes_before(data, end):
            end -= tag
        elif data.startswith(_APE, end - _APE_FOOTER_BYTES):
            length, has_header = int.from_bytes(data[end - 20 : end - 16], "little"), data[end - 9] & 0x80
            end -= length + (_APE_FOOTER_BYTES if has_header else 0)
        elif data.endswith(bytes(_PADDING), start, max(start, end)):
            end = _behind_last_nonzero(data, start, end)
        else:
            break
    return max(start, end)


def _behind_last_nonzero(data: bytes, start: int, end: int) -> int:
    while end > start:
        block = data[max(start, end - _BLOCK_BYTES) : end]
        end -= len(block)
        if kept := block.rstrip(b"\0"):
            return end + len(kept)
    return start


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
    behind = at + _ID3V1_BYTES
    if data.startswith(_ID3V1, at) and (len(data) == behind or _FILE.match(data, behind)):
        return _ID3V1_BYTES
    if data.startswith(_APE, at):
        return _APE_FOOTER_BYTES + int.from_bytes(data[at + 12 : at + 16], "little")
    return id3_bytes(data, at)

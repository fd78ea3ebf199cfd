"""Identifies the container of untrusted audio by its first bytes, before FFmpeg reads any of them.

In: bytes. Out: the demuxers that may open them and where the audio begins; or UnreadableMedia that names the
format.
"""

import re
from typing import NamedTuple

from bonafide.errors import UnreadableMedia

ACCEPTED = "WAV, FLAC, MP3, Ogg, Opus, M4A, AAC, AMR or WebM"
"""Named in error messages."""


class Container(NamedTuple):
    """Where the audio begins and which demuxers may read it.

    Attributes:
        demuxers: FFmpeg demuxer names; one, or several among which FFmpeg probes.
        offset: first byte after leading ID3 tags.
    """

    demuxers: tuple[str, ...]
    offset: int


_MAGIC = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"#!AMR", "amr"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"riff.\x91\xcf\x11\xa5\xd6\x28\xdb", "w64"),
)
_RIFF = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_MP4_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"sidx")
_REFUSED = (
    (b"ffconcat", "an FFmpeg concat list"),
    (b"#EXTM3U", "an HLS playlist"),
    (b"<?xml", "XML"),
    (b"<MPD", "a DASH manifest"),
    (b"<", "XML or HTML"),
    (b"v=0", "an SDP description"),
    (b"[playlist", "a playlist"),
    (b"caff", "CAF"),
    (b".snd", "Sun AU"),
    (b"MThd", "MIDI"),
    (b"FLV\x01", "FLV"),
    (b"0&\xb2u\x8ef\xcf\x11", "WMA (ASF)"),
    (b"\x00\x00\x01\xba", "an MPEG program stream"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)
_MP3_INDEX = re.compile(rb"Xing|Info|VBRI")
_MP3_EXCESS = 16
MATROSKA_TAG_NAME = b"\x45\xa3"
_OGG_COMMENTS = re.compile(rb"OpusTags|\x03vorbis")
_MAX_TAGS = 10_000
_ID3_FOOTER, _ID3_HEADER_BYTES = b"3DI", 10
"""The footer of an ID3v2 tag has as many bytes as its header, and the same fields."""


def identify(data: bytes, start: int = 0) -> Container:
    """Determines which demuxers may open `data` from `start` on.

    MP3 and ADTS AAC have no magic number: what is not recognised is left to FFmpeg's probe among these two.

    Raises:
        UnreadableMedia: no data after the tags, or a format that is not accepted.
    """
    offset = _after_id3(data, start)
    head = data[offset : offset + 64]
    if not head:
        raise UnreadableMedia("the recording is empty")
    if head[:4] in _RIFF:
        if head[8:12] == b"WAVE":
            return Container(("wav",), offset)
        raise UnreadableMedia(f"AVI or another RIFF format is not accepted; send {ACCEPTED}")
    if head.startswith(b"FORM"):
        raise UnreadableMedia(f"AIFF is not accepted; send {ACCEPTED}")
    for magic, demuxer in _MAGIC:
        if head.startswith(magic):
            return Container((demuxer,), offset)
    if head[4:8] in _MP4_BOXES:
        return Container(("mov",), offset)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, name in _REFUSED:
        if text.startswith(magic) or head.startswith(magic):
            raise UnreadableMedia(f"{name} is not accepted; send {ACCEPTED}")
    return Container(("mp3", "aac"), offset)


def bare_flac(data: bytes, offset: int) -> tuple[int, bytes]:
    """Where the frames of a FLAC file begin, and a header for them that holds the stream's parameters only.

    FFmpeg stores tags and seek points one by one: 50,000 tags (0.7 MB) took a minute, ten times as many took
    hours. So they are removed.
    """
    header = data[offset : offset + 42]  # magic, block header, STREAMINFO
    at = offset + 4
    while at + 4 <= len(data):
        last, at = data[at] & 0x80, at + 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        if last:
            break
    return min(at, len(data)), header[:4] + b"\x80" + header[5:]


def refuse_excessive_tags(data: bytes, demuxer: str, start: int, end: int) -> None:
    """Refuses an Ogg or Matroska file, from `start` to `end`, with so many tags that FFmpeg would take minutes.

    Its work grows with the square of their number and cannot be interrupted. What does not look like a recording's own
    tags is accepted: this covers the plain case, not every disguise.

    Raises:
        UnreadableMedia: more than about 10,000 tags.
    """
    excessive = False
    if demuxer == "matroska":
        excessive = too_many_matroska_tags(data.count(MATROSKA_TAG_NAME, start, end), end - start)
    elif demuxer == "ogg":
        for found in _OGG_COMMENTS.finditer(data, start, end):
            at = found.end() + 4 + int.from_bytes(data[found.end() : found.end() + 4], "little")
            excessive |= int.from_bytes(data[at : at + 4], "little") > _MAX_TAGS
    if excessive:
        raise UnreadableMedia("the recording carries too many tags")


def too_many_matroska_tags(names: int, size: int) -> bool:
    """Whether so many bytes hold too many tags, if they hold `MATROSKA_TAG_NAME` so often."""
    return names > _MAX_TAGS + size // 8_192  # chance finds in the audio: one in 65,536


def declares_duration(head: bytes, demuxer: str, size: int) -> bool:
    """Whether a container of `size` bytes states its duration, rather than FFmpeg guessing it from that size."""
    if demuxer != "mp3":
        return demuxer in {"wav", "w64", "flac", "mov", "matroska"}
    found = _MP3_INDEX.search(head)
    if found is None:
        return False
    at = found.start()
    if head[at : at + 4] == b"VBRI":
        stated = int.from_bytes(head[at + 10 : at + 14], "big")
    else:
        fields = int.from_bytes(head[at + 4 : at + 8], "big")  # 1: number of frames, 2: bytes
        place = at + 8 + 4 * (fields & 1)
        stated = int.from_bytes(head[place : place + 4], "big") if fields & 2 else 0
    return not stated or size <= stated + stated // _MP3_EXCESS  # with more, others were joined, and FFmpeg guesses


def _after_id3(data: bytes, offset: int) -> int:
    """Offset of the first byte after the ID3v2 tags that begin at `offset`.

    They are skipped here because they may hold compressed pictures: a tag of 1 MB made FFmpeg take 1.2 GB.
    """
    while tag := id3_bytes(data, offset):
        offset += tag
    return min(offset, len(data))


def id3_bytes(data: bytes, at: int) -> int:
    """Length of the ID3v2 tag that begins at an offset, as its header has it; 0 where none does."""
    if not data.startswith(b"ID3", at) or len(data) < at + _ID3_HEADER_BYTES:
        return 0
    has_footer = bool(data[at + 5] & 0x10)
    return (2 if has_footer else 1) * _ID3_HEADER_BYTES + _id3_size(data, at)


def id3_bytes_before(data: bytes, end: int) -> int:
    """Length of the ID3v2 tag with a footer that ends at an offset; 0 where none does."""
    footer = end - _ID3_HEADER_BYTES
    if footer < 0 or not data.startswith(_ID3_FOOTER, footer):
        return 0
    length = 2 * _ID3_HEADER_BYTES + _id3_size(data, footer)
    return length if length <= end and id3_bytes(data, end - length) == length else 0


def _id3_size(data: bytes, at: int) -> int:
    """What the header or footer of an ID3v2 tag at an offset says of the bytes between them: four digits of 7 bits."""
    return sum((byte & 0x7F) << (7 * (3 - place)) for place, byte in enumerate(data[at + 6 : at + 10]))

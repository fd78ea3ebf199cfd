"""Identifies the container of untrusted audio by its first bytes, before FFmpeg reads any of them.

In: bytes. Out: the demuxers that may open them and where the audio begins; or UnreadableMedia that names the
format.
"""

import re
import struct
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
_FORMAT = struct.Struct(">HHIIHH")
_RIFX_TAGS = frozenset([1, 3, 6, 7])  # integers, floats, A-law, mu-law
_EXTENSIBLE = 0xFFFE
_MAX_CHUNKS = 64
_MATROSKA_TAG_NAME = b"\x45\xa3"
_OGG_COMMENTS = re.compile(rb"OpusTags|\x03vorbis")
_MAX_TAGS = 10_000


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


def riff_of_rifx(data: bytes, offset: int) -> tuple[int, bytes]:
    """Where the samples of a RIFX file begin, and a RIFF header for them: little-endian, as FFmpeg reads it whole.

    FFmpeg refuses big-endian format chunks of more than 16 bytes, and takes the samples behind any for little-endian
    ones. They still have to be decoded as big-endian.

    Raises:
        UnreadableMedia: no samples or no format, or one that is not plain PCM, A-law or mu-law.
    """
    form = b""
    at = offset + 12
    for _ in range(_MAX_CHUNKS):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        at += 8
        if name == b"data" and len(form) >= _FORMAT.size:
            return at, _riff_header(form, size)
        if name == b"fmt ":
            form = data[at : at + min(size, 40)]
        at += size + size % 2
    raise UnreadableMedia("the RIFX file has no audio, or does not say how it is coded")


def _riff_header(form: bytes, data_bytes: int) -> bytes:
    tag, *fields = _FORMAT.unpack_from(form)
    if tag == _EXTENSIBLE and len(form) >= 28:
        tag = int.from_bytes(form[24:28], "big")
    if tag not in _RIFX_TAGS:
        raise UnreadableMedia(f"RIFX with audio of format {tag} is not accepted; send RIFF")
    header = struct.pack("<HHIIHH", tag, *fields)
    whole = b"WAVEfmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", data_bytes)
    return b"RIFF" + struct.pack("<I", min(len(whole) + data_bytes, 0xFFFFFFFF)) + whole


def refuse_excessive_tags(data: bytes, demuxer: str, start: int, end: int) -> None:
    """Refuses an Ogg or Matroska file, from `start` to `end`, with so many tags that FFmpeg would take minutes.

    Its work grows with the square of their number and cannot be interrupted. What does not look like a recording's own
    tags is accepted: this covers the plain case, not every disguise.

    Raises:
        UnreadableMedia: more than about 10,000 tags.
    """
    tags = 0
    if demuxer == "matroska":
        tags = data.count(_MATROSKA_TAG_NAME, start, end)
        tags -= (end - start) // 8_192  # chance finds in the audio: one in 65,536
    elif demuxer == "ogg":
        for found in _OGG_COMMENTS.finditer(data, start, end):
            at = found.end() + 4 + int.from_bytes(data[found.end() : found.end() + 4], "little")
            tags = max(tags, int.from_bytes(data[at : at + 4], "little"))
    if tags > _MAX_TAGS:
        raise UnreadableMedia("the recording carries too many tags")


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
    while data.startswith(b"ID3", offset) and len(data) >= offset + 10:
        flags, size = data[offset + 5], data[offset + 6 : offset + 10]
        offset += 10 + (10 if flags & 0x10 else 0)
        for byte_index, byte in enumerate(size):
            offset += (byte & 0x7F) << (7 * (3 - byte_index))
    return min(offset, len(data))

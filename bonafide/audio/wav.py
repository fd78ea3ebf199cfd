"""WAV and Wave64: which bytes are samples, whatever the sizes in the header say.

Streams are written with placeholders for sizes, recorders that died left the size of an earlier moment, and other files
were appended. FFmpeg gets a header that is made here, of the format and the true length only.
"""

import re
import struct
from typing import Literal, NamedTuple

import numpy as np

from bonafide.audio import magic
from bonafide.audio.levels import LOUDEST
from bonafide.audio.part import Part
from bonafide.errors import UnreadableMedia

_MAX_CHUNKS = 10_000
_MAX_FORMAT_BYTES = 1 << 12
_OPEN_SIZES = (range(1), range(0x7FFF_0000, 0x8001_0000), range(0xFFFF_0000, 0x1_0000_0000))
"""Sizes that mean "unknown", more or less the length of a header. No accepted file is so large."""
_KNOWN_CHUNKS = frozenset(
    b"LIST|id3 |ID3 |bext|iXML|aXML|axml|cue |smpl|inst|plst|note|labl|ltxt|JUNK|junk|PAD |FLLR|fact|PEAK|acid|umid"
    b"|chna|DISP|afsp|minf|elm1|regn|cart|qlty|mext|levl|link|_PMX|SAUR|LGWV|strc|r64m|data".split(b"|")
)
_NOT_ZERO = re.compile(rb"[^\0]")
_OTHER_FILE = re.compile(
    rb"(?:RIF[FX]|RF64|BW64).{4}WAVE|riff.\x91|fLaC|OggS|#!AMR|\x1a\x45\xdf\xa3|.{4}ftyp|ID3[\x02-\x04]|TAG|APETAGEX"
    rb"|PK\x03\x04|%PDF|\x89PNG|\xff\xd8\xff|<\?xml|FORM|caff",
    re.DOTALL,
)
_PCM, _EXTENSIBLE = 1, 0xFFFE
_WIDEST = 32  # bits of an integer
_GSM = 0x31
_BLOCK_TAGS = frozenset([0x2, 0x11, _GSM])  # ADPCM of Microsoft and of IMA, GSM
_RIFX_TAGS = frozenset([1, 3, 6, 7])  # integers, floats, A-law, mu-law
_SAMPLES = {
    # format tag, bits -> samples of which the upper bytes are taken, silence, full scale
    (1, 8): ("u1", 128.0, 128.0),
    (1, 16): ("i2", 0.0, 2.0**15),
    (1, 24): ("i2", 0.0, 2.0**15),
    (1, 32): ("i4", 0.0, 2.0**31),
    (3, 32): ("f4", 0.0, 1.0),
    (3, 64): ("f8", 0.0, 1.0),
}
_PROBED_BYTES = 1 << 18
_LOUD, _RANDOM = 0.3, 1.1
"""Mean level, and mean change between samples in relation to it, of random bytes: 0.5 and 1.33. Speech has less."""

_LEAST_TAIL_S = 0.05
_MAX_BYTES_PER_S = 1 << 21  # eight channels of 32 bits at 64 kHz

_Order = Literal["little", "big"]


class _Header(NamedTuple):
    """What a header says.

    Attributes:
        form: content of the format chunk.
        body: offset of the first sample.
        size: bytes of samples; None for unknown.
        order: of the bytes of numbers.
    """

    form: bytes
    body: int
    size: int | None
    order: _Order = "little"


def wav_part(data: bytes, start: int) -> Part:
    """The samples of the WAV file (RIFF, RIFX, RF64, BW64) that begins at `start`.

    Raises:
        UnreadableMedia: no format, no samples, or a header without end.
    """
    return _part(data, _riff_header(data, start))


def w64_part(data: bytes, start: int) -> Part:
    """The samples of the Wave64 file that begins at `start`, to be read as WAV.

    Raises:
        UnreadableMedia: no format, no samples, or a header without end.
    """
    return _part(data, _w64_header(data, start))


def further_samples(data: bytes, before: Part) -> Part | None:
    """The next `data` chunk of the same WAV file, if there is one."""
    order = _order(before)
    at = _after_chunks(data, before.end, order, until=b"data")
    if data[at : at + 4] != b"data" or at + 8 > len(data):
        return None
    size = int.from_bytes(data[at + 4 : at + 8], order)
    return _part(data, _Header(_form(before), at + 8, None if _is_open(size) else size, order))


def end_of_chunks(data: bytes, before: Part) -> int:
    """Offset behind the chunks that follow the samples."""
    return _after_chunks(data, before.end, _order(before))


def is_big_endian(part: Part) -> bool:
    """Whether these are samples of a RIFX file."""
    return part.prefix.startswith(b"RIFX")


def pcm16_channels(part: Part) -> tuple[int, int]:
    """Channels and bytes of one sample of all of them, by the header of little-endian PCM of 16 bit; else zeros."""
    form = _form(part)
    if part.demuxers != ("wav",) or is_big_endian(part) or len(form) < 16:
        return 0, 0
    tag, channels, _, _, frame_bytes, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = int.from_bytes(form[24:26], "little")
    return (channels, frame_bytes) if (tag, bits) == (1, 16) else (0, 0)


def little_endian_header(part: Part) -> bytes:
    """A header for the samples of a RIFX file, little-endian, as FFmpeg reads it whole.

    FFmpeg refuses big-endian format chunks of more than 16 bytes, and takes the samples behind any for little-endian
    ones. They still have to be decoded as big-endian.

    Raises:
        UnreadableMedia: its format is none, or not plain PCM, A-law or mu-law.
    """
    form = _form(part)
    if len(form) < 16:
        raise UnreadableMedia("the RIFX file has no audio, or does not say how it is coded")
    tag, *fields = struct.unpack(">HHIIHH", form[:16])
    if tag == _EXTENSIBLE and len(form) >= 28:
        tag = int.from_bytes(form[24:28], "big")
    if tag not in _RIFX_TAGS:
        raise UnreadableMedia(f"RIFX with audio of format {tag} is not accepted; send RIFF")
    return _canonical(_Header(struct.pack("<HHIIHH", tag, *fields), part.body, None), part.end - part.body)


def _form(part: Part) -> bytes:
    """The content of the format chunk of a part's header, see `_canonical`."""
    length = int.from_bytes(part.prefix[16:20], _order(part))
    return part.prefix[20 : 20 + length]


def _part(data: bytes, header: _Header) -> Part:
    body, size = header.body, header.size
    missing, stated = 0, None
    others = magic.STARTS if size is None else (magic.WAV,)
    end = magic.end_before(data, others, body, None if size is None else min(body + size, len(data)))
    if size is not None and end < body + size:
        missing = body + size - end
    elif size is not None and _samples_follow(data, end, header):
        end, stated = magic.end_before(data, magic.STARTS, end), size
    if not missing:
        end -= _padding_bytes(data, header, end)
    return Part(("wav",), body, end, _canonical(header, end - body), missing=missing, stated=stated)


def _padding_bytes(data: bytes, header: _Header, end: int) -> int:
    """Zeros behind the last whole block of GSM, which programs count as samples and FFmpeg takes for a damaged one."""
    tag, block_bytes = (int.from_bytes(header.form[at : at + 2], header.order) for at in (0, 12))
    rest = (end - header.body) % block_bytes if tag == _GSM and block_bytes else 0
    return 0 if data[end - rest : end].strip(b"\0") else rest


def _canonical(header: _Header, size: int) -> bytes:
    order = ">" if header.order == "big" else "<"
    content = _with_all_bits_valid(header.form, header.order)
    form = struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)
    chunks = b"WAVEfmt " + form + b"data" + struct.pack(f"{order}I", min(size, 0xFFFF_FFFE))
    name = b"RIFX" if header.order == "big" else b"RIFF"
    return name + struct.pack(f"{order}I", min(len(chunks) + size, 0xFFFF_FFFE)) + chunks


def _with_all_bits_valid(form: bytes, order: _Order) -> bytes:
    """The content of a format chunk whose samples have as many valid bits as bits, if it tells both.

    Valid bits are the upper ones. FFmpeg takes their number for the width of a sample. Of plain PCM, bits that fill no
    bytes are valid ones, and the width is that of the bytes.
    """
    tag = int.from_bytes(form[:2], order)
    if tag == _PCM and len(form) >= 16:
        channels, block_bytes, bits = (int.from_bytes(form[at : at + 2], order) for at in (2, 12, 14))
        width, rest = divmod(block_bytes, channels or 1)
        if bits % 8 and not rest and bits <= 8 * width <= _WIDEST:
            return form[:14] + (8 * width).to_bytes(2, order) + form[16:]
    if tag != _EXTENSIBLE or len(form) < 20:
        return form
    return form[:18] + form[14:16] + form[20:]


def _riff_header(data: bytes, start: int) -> _Header:
    order: _Order = "big" if data[start : start + 4] == b"RIFX" else "little"
    at, form, long_size = start + 12, b"", 0
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            raise UnreadableMedia("the WAV file holds no samples")
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], order)
        at += 8
        if name == b"data" and form:
            if size == 0xFFFF_FFFF and long_size:
                size = long_size
            return _Header(form, at, None if _is_open(size) else size, order)
        if name == b"fmt ":
            form = data[at : at + min(size, _MAX_FORMAT_BYTES)]
        elif name == b"ds64":
            long_size = int.from_bytes(data[at + 8 : at + 16], order)
        at += size + size % 2
    raise UnreadableMedia("the header of the WAV file cannot be read")


def _w64_header(data: bytes, start: int) -> _Header:
    at, form = start + 40, b""
    for _ in range(_MAX_CHUNKS):
        if at + 24 > len(data):
            raise UnreadableMedia("the Wave64 file holds no samples")
        name, size = data[at : at + 4], int.from_bytes(data[at + 16 : at + 24], "little")
        if name == b"data" and form:
            is_open = size <= 24 or size >= 1 << 62
            return _Header(form, at + 24, None if is_open else size - 24)
        if name == b"fmt ":
            form = data[at + 24 : at + min(size, _MAX_FORMAT_BYTES)]
        at += max(24, size + -size % 8)
    raise UnreadableMedia("the header of the Wave64 file cannot be read")


def _is_open(size: int) -> bool:
    return any(size in sizes for sizes in _OPEN_SIZES)


def _samples_follow(data: bytes, end: int, header: _Header) -> bool:
    """Whether what follows the stated end is neither a chunk, nor another file, nor a tag, nor padding, nor noise.

    Nor a few bytes, which some programs leave there: a recorder that died leaves more.
    """
    if len(data) - end < _LEAST_TAIL_S * _bytes_per_s(header):
        return False
    if _NOT_ZERO.search(data, end) is None:
        return False
    if any(_is_chunk(data, at, header.order) or _OTHER_FILE.match(data, at) for at in (end, end + 1)):
        return False
    return not _is_noise(data, end, header)


def _bytes_per_s(header: _Header) -> int:
    """Of samples. A block of a codec holds many: how many is told by its format, or the bytes of a second are."""
    tag, rate, stated, block_bytes, samples = (
        int.from_bytes(header.form[at:end], header.order) for at, end in ((0, 2), (4, 8), (8, 12), (12, 14), (18, 20))
    )
    if tag in _BLOCK_TAGS and samples:
        stated = rate * block_bytes // samples
    return min(rate * block_bytes, stated or _MAX_BYTES_PER_S, _MAX_BYTES_PER_S)


def _is_noise(data: bytes, at: int, header: _Header) -> bool:
    """Whether uncompressed samples would be as loud and as random as those of other data are; unknown for others."""
    if len(header.form) < 16:
        return False
    tag, channels, _, _, _, bits = struct.unpack(f"{'>' if header.order == 'big' else '<'}HHIIHH", header.form[:16])
    tag = int.from_bytes(header.form[24:26], header.order) if tag == _EXTENSIBLE and len(header.form) >= 26 else tag
    kind = _SAMPLES.get((tag, bits))
    frame = channels * bits // 8
    if kind is None or not frame:
        return False
    at = header.body - (header.body - at) // frame * frame  # the next whole one
    count = min(len(data) - at, _PROBED_BYTES) // frame
    if count < 2:
        return False
    width = bits // 8
    bytes_of_first = np.frombuffer(data, np.uint8, count * frame, at).reshape(count, frame)[:, :width]
    if bits == 24:
        bytes_of_first = bytes_of_first[:, 1:] if header.order == "little" else bytes_of_first[:, :2]
    dtype = np.dtype(kind[0]).newbyteorder(">" if header.order == "big" else "<")
    with np.errstate(all="ignore"):
        values = np.ascontiguousarray(bytes_of_first).view(dtype)[:, 0].astype(np.float64)
        values = (values - kind[1]) / kind[2]
        level = np.abs(values).mean()
        change = np.abs(np.diff(values)).mean()
    return not np.isfinite(level) or level > LOUDEST or (level > _LOUD and change > _RANDOM * level)


def _is_chunk(data: bytes, at: int, order: _Order) -> bool:
    name = data[at : at + 4]
    if name in _KNOWN_CHUNKS:
        return True
    size = int.from_bytes(data[at + 4 : at + 8], order)
    is_name = len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)
    return is_name and at + 8 + size <= len(data) and _OTHER_FILE.match(data, at) is None


def _after_chunks(data: bytes, at: int, order: _Order, until: bytes = b"") -> int:
    """Offset behind the chunks from `at` on, or of the first named `until`. A pad byte may be missing."""
    for _ in range(_MAX_CHUNKS):
        chunk = next((place for place in (at, at + 1) if _is_chunk(data, place, order)), None)
        if chunk is None or data[chunk : chunk + 4] == until:
            return at if chunk is None else chunk
        at = min(chunk + 8 + int.from_bytes(data[chunk + 4 : chunk + 8], order), len(data))
    return at


def _order(part: Part) -> _Order:
    return "big" if is_big_endian(part) else "little"

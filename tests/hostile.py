"""Builds the files that an attacker would upload: playlists, false MP4 boxes, tags that grow. For tests only."""

import struct
import zlib
from pathlib import Path

import numpy as np

from tests.media import encode, speech_like, wav


def box(kind: bytes, *parts: bytes) -> bytes:
    """An MP4 box."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def deflated(head: bytes, zeros: int) -> bytes:
    """What zlib packs of `head` and so many zeros after it: a packed MiB again and again, which takes no time."""
    packer = zlib.compressobj(9)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    mib = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    rest = last.compress(bytes(zeros % 2**20)) + last.flush()
    return first + mib * (zeros // 2**20) + rest + struct.pack(">I", zlib.adler32(bytes(zeros), zlib.adler32(head)))


def full_box(kind: bytes, flags: int, *parts: bytes) -> bytes:
    """An MP4 box with version 0 and flags."""
    return box(kind, struct.pack(">I", flags), *parts)


def playlists(victim: Path) -> dict[str, tuple[str, bytes]]:
    """Text files that tell FFmpeg to open `victim` in the current folder: name -> (demuxer, bytes)."""
    name = victim.name
    return {
        "ffconcat": ("concat", f"ffconcat version 1.0\nfile '{name}'\n".encode()),
        "hls": ("hls", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{name}\n#EXT-X-ENDLIST\n".encode()),
        "sdp": ("sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"),
        "dash": (
            "dash",
            f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            f'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="0" '
            f'bandwidth="1"><BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period></MPD>'.encode(),
        ),
    }


def mp4(
    *,
    samples: int = 1,
    sample_bytes: int = 10,
    data_reference: bytes | None = None,
    codec: bytes = b"mp4a",
    edits: list[tuple[int, int]] | None = None,
    fragmented: bool = False,
    offset: int = 40,
) -> bytes:
    """The `ftyp` and `moov` boxes of an M4A with one audio track whose tables say what the caller wants."""
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    head = full_box(
        b"mvhd", 0, struct.pack(">IIIIIH", 0, 0, 1000, 1000, 0x10000, 0x100), bytes(10), matrix, bytes(24), b"\0\0\0\2"
    )
    track = full_box(b"tkhd", 3, struct.pack(">IIIII", 0, 0, 1, 0, 1000), bytes(16), matrix, bytes(8))
    media = full_box(b"mdhd", 0, struct.pack(">IIIIHH", 0, 0, 44_100, 1_024, 0x55C4, 0))
    handler = full_box(b"hdlr", 0, struct.pack(">I4s", 0, b"soun"), bytes(12), b"s\0")
    reference = full_box(b"url ", 1) if data_reference is None else data_reference
    references = box(b"dinf", full_box(b"dref", 0, struct.pack(">I", 1), reference))
    config = bytes.fromhex("0319000000 0411 4015 000000 00000000 00000000 0502 1210 060102".replace(" ", ""))
    entry = box(
        codec,
        bytes(6),
        struct.pack(">H8xHHHHI", 1, 1 if codec == b"sowt" else 2, 16, 0, 0, 44_100 << 16),
        full_box(b"esds", 0, config) if codec == b"mp4a" else b"",
    )
    duration = 1 if codec == b"sowt" else 1_024
    tables = [
        full_box(b"stsd", 0, struct.pack(">I", 1), entry),
        full_box(b"stts", 0, struct.pack(">III", 1, samples, duration)),
        full_box(b"stsc", 0, struct.pack(">IIII", 1, 1, samples, 1)),
        full_box(b"stsz", 0, struct.pack(">II", sample_bytes, samples)),
        full_box(b"stco", 0, struct.pack(">II", 1, offset)),
    ]
    if fragmented:
        tables[1:] = [full_box(kind, 0, bytes(4)) for kind in (b"stts", b"stsc", b"stco")]
        tables.append(full_box(b"stsz", 0, bytes(8)))
    info = box(b"minf", full_box(b"smhd", 0, bytes(4)), references, box(b"stbl", *tables))
    edit_list = b""
    if edits:
        entries = [struct.pack(">IiHH", duration_ms, start, 1, 0) for duration_ms, start in edits]
        edit_list = box(b"edts", full_box(b"elst", 0, struct.pack(">I", len(edits)), *entries))
    whole_track = box(b"trak", track, edit_list, box(b"mdia", media, handler, info))
    extends = box(b"mvex", full_box(b"trex", 0, struct.pack(">IIIII", 1, 1, 1_024, 10, 0))) if fragmented else b""
    return box(b"ftyp", b"M4A \0\0\0\0M4A isom") + box(b"moov", head, whole_track, extends)


def external_pcm(victim: Path, skip: int = 44) -> bytes:
    """A MOV whose samples lie in another file, named by a Macintosh alias record."""
    path = str(victim).encode()
    path += bytes(len(path) % 2)
    alias = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16) + struct.pack(">HH", 0, 0) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + struct.pack(">HH", 0xFFFF, 0)
    reference = full_box(b"alis", 0, alias)
    return mp4(samples=40_000, sample_bytes=1, data_reference=reference, codec=b"sowt", offset=skip)


def huge_fragment(samples: int) -> bytes:
    """A fragment that claims `samples` samples in a handful of bytes."""
    run = full_box(b"trun", 1, struct.pack(">Ii", samples, 100))
    traf = box(b"traf", full_box(b"tfhd", 0x20000, struct.pack(">I", 1)), run)
    fragment = box(b"moof", full_box(b"mfhd", 0, struct.pack(">I", 1)), traf)
    return mp4(fragmented=True) + fragment + box(b"mdat", bytes(1_000))


def compressed_header(size: int) -> bytes:
    """A QuickTime header that unpacks to `size` bytes."""
    moov = mp4()[24:]
    inner = struct.pack(">I", len(moov) + 8 + size) + moov[4:] + struct.pack(">I4s", 8 + size, b"free")
    length = struct.pack(">I", len(inner) + size)
    packed = box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", length, deflated(inner, size)))
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", packed)


def repeated_edits(repeats: int) -> bytes:
    """An edit list that plays the same 200,000 packets again and again."""
    return mp4(samples=200_000, sample_bytes=1, edits=[(1_000_000, 0)] * repeats) + box(b"mdat", bytes(1_000))


def growing_tags(pictures: int, size: int) -> bytes:
    """An MP3 behind an ID3 tag with compressed pictures of `size` bytes each."""
    picture = b"\0image/png\0\3\0"
    packed = deflated(picture, size)
    frame = b"APIC" + _syncsafe(4 + len(packed)) + b"\0\x09" + _syncsafe(len(picture) + size) + packed
    mp3 = encode(speech_like(1.0, 16_000), 16_000, "mp3")
    return b"ID3\4\0\0" + _syncsafe(pictures * len(frame)) + frame * pictures + mp3[_id3_length(mp3) :]


def tagged_flac(tags: int) -> bytes:
    """A second of FLAC with so many Vorbis comments; FFmpeg's work grows with the square of their number."""
    plain = encode(speech_like(1.0, 16_000), 16_000, "flac")
    comments = b"".join(struct.pack("<I", 8) + b"%06x=a" % number for number in range(tags))
    block = struct.pack("<II", 0, tags) + comments
    return plain[:42] + b"\x04" + struct.pack(">I", len(block))[1:] + block + plain[42:]


def tagged_wav(tags: int) -> bytes:
    """A second of WAV with so many different INFO entries."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    names = (bytes(letters[number // 36**place % 36] for place in range(4)) for number in range(tags))
    entries = b"INFO" + b"".join(name + struct.pack("<I", 2) + b"a\0" for name in names)
    plain = wav(np.zeros(16_000, np.int16), 16_000)
    return plain[:12] + b"LIST" + struct.pack("<I", len(entries)) + entries + plain[12:]


def tagged_webm(tags: int) -> bytes:
    """A second of WebM with so many tags."""
    plain = encode(speech_like(1.0, 48_000), 48_000, "webm")
    simple = (_element("67c8", _element("45a3", b"%06x" % n) + _element("4487", b"a")) for n in range(tags))
    block = _element("1254c367", _element("7373", b"".join(simple)))
    at = plain.index(bytes.fromhex("18538067")) + 4
    return plain[:at] + b"\x01" + b"\xff" * 7 + block + plain[at + 8 :]


def tagged_opus(tags: int) -> bytes:
    """A second of Opus in Ogg whose comment packet, over many pages, holds so many comments."""
    plain = encode(speech_like(1.0, 48_000), 48_000, "opus")
    second = plain.index(b"OggS", 4)
    third = plain.index(b"OggS", second + 4)
    comments = b"".join(struct.pack("<I", 8) + b"%06x=a" % number for number in range(tags))
    packet = b"OpusTags" + struct.pack("<II", 0, tags) + comments
    lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    pages = []
    for index, start in enumerate(range(0, len(lacing), 255)):
        row = lacing[start : start + 255]
        body = packet[start * 255 : start * 255 + sum(row)]
        flags = 0 if index == 0 else 1
        head = b"OggS\0" + bytes([flags]) + bytes(8) + plain[14:18] + struct.pack("<I", 1 + index)
        pages.append(ogg_page(head, row, body))
    rest, number = [], 1 + len(pages)
    while third >= 0 and third < len(plain):
        following = plain.find(b"OggS", third + 4)
        page = plain[third : following if following > 0 else len(plain)]
        row = page[27 : 27 + page[26]]
        rest.append(ogg_page(page[:18] + struct.pack("<I", number), row, page[27 + page[26] :]))
        third, number = following, number + 1
    return plain[:second] + b"".join(pages) + b"".join(rest)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *extra: bytes, rows: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG made by hand: header, extra chunks, image data, end."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + body + png_chunk(b"IEND", b"")


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Flips, overwrites, cuts, repeats or removes some bytes."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 8)):
        at = int(random.integers(0, max(1, len(changed))))
        length = int(random.integers(1, 64))
        match random.integers(0, 5):
            case 0:
                changed[at : at + 1] = bytes([random.integers(0, 256)])
            case 1:
                changed[at : at + 4] = random.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"])
            case 2:
                del changed[at:]
            case 3:
                changed[at:at] = changed[at : at + length]
            case _:
                del changed[at : at + length]
    return bytes(changed)


def _element(identifier: str, body: bytes) -> bytes:
    return bytes.fromhex(identifier) + (2**56 | len(body)).to_bytes(8, "big") + body


def ogg_page(head: bytes, lacing: bytes, body: bytes) -> bytes:
    """Completes a page: `head` is everything before the checksum."""
    tail = bytes([len(lacing)]) + lacing + body
    checksum = 0
    for byte in head + bytes(4) + tail:
        checksum = (checksum << 8 & 0xFFFFFFFF) ^ _OGG_CRC[checksum >> 24 ^ byte]
    return head + struct.pack("<I", checksum) + tail


def _ogg_crc_entry(value: int) -> int:
    value <<= 24
    for _ in range(8):
        value = (value << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value


_OGG_CRC = [_ogg_crc_entry(value) for value in range(256)]


def _syncsafe(number: int) -> bytes:
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def _id3_length(mp3: bytes) -> int:
    if not mp3.startswith(b"ID3"):
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(mp3[6:10], (21, 14, 7, 0), strict=True))

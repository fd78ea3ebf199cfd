"""Small files that keep a decoder busy for long, made in the test."""

import struct


def bmp_of_runs(width: int = 70_700, height: int = 707) -> bytes:
    """4 kB of run-length coded BMP; each line ends after one pixel, and Pillow fills it up byte by byte, in Python."""
    data = b"\1\1\0\0" * height + b"\0\1"
    palette = b"".join(bytes((value, value, value, 0)) for value in range(256))
    start = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def laced_matroska(blocks: int) -> bytes:
    """Matroska of 8 bit PCM whose blocks, of 275 bytes each, hold 255 packets of one sample."""
    audio = _element(0xB5, struct.pack(">d", 16_000.0)) + _element(0x9F, b"\1") + _element(0x6264, b"\x08")
    ids = _element(0xD7, b"\1") + _element(0x73C5, b"\1") + _element(0x83, b"\2")
    track = _element(0xAE, ids + _element(0x86, b"A_PCM/INT/LIT") + _element(0xE1, audio))
    block = _element(0xA3, b"\x81\0\0\x04" + b"\xfe" + b"\x90" * 255)
    cluster = _element(0x1F43B675, _element(0xE7, b"\0") + block * blocks)
    info = _element(0x1549A966, _element(0x2AD7B1, b"\x0f\x42\x40"))
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska") + _element(0x4287, b"\4") + _element(0x4285, b"\2"))
    return head + _element(0x18538067, info + _element(0x1654AE6B, track) + cluster)


def _element(name: int, content: bytes) -> bytes:
    """An EBML element, its length in eight bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (len(content) | 1 << 56).to_bytes(8, "big") + content

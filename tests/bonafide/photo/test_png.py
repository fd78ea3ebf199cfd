"""PNGs with all that may lie beside their pixels."""

import struct
import time
import zlib

import numpy as np
import pytest

from bonafide.errors import UnreadableMedia
from tests.bonafide.photo.reading import read
from tests.hostile import png, png_chunk

CHUNKS_BESIDE_THE_PIXELS = [
    png_chunk(b"iCCP", b"screen\0\0" + zlib.compress(np.random.default_rng(0).bytes(1_200_000))),
    png_chunk(b"zTXt", b"notes\0\0" + zlib.compress(bytes(2_000_000))),
    png_chunk(b"iTXt", b"notes\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    png_chunk(b"acTL", struct.pack(">II", 2, 0)) + png_chunk(b"fcTL", bytes(3)),
    png_chunk(b"pHYs", b"\0"),
    png_chunk(b"caBX", bytes(1_000))[:-4] + b"sum?",
]
"""A long colour profile or note, a damaged animation or resolution, and a wrong checksum."""
EXIF = png_chunk(b"eXIf", b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0))
XMP = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b'<rdf:Description tiff:Orientation="6"/>')


@pytest.mark.parametrize("chunk", CHUNKS_BESIDE_THE_PIXELS, ids=lambda chunk: chunk[4:8].decode())
def test_what_is_beside_the_pixels_of_a_png_does_not_lose_it(chunk: bytes) -> None:
    rows = b"".join(b"\0" + bytes([3 * row] * 48) for row in range(16))
    plain = read(png(16, 16, EXIF, rows=rows))
    assert np.array_equal(plain, np.rot90(read(png(16, 16, rows=rows)), 3))
    assert np.array_equal(read(png(16, 16, chunk, EXIF, rows=rows)), plain)
    whole = png(16, 16, EXIF, rows=rows)
    assert np.array_equal(read(whole[:-12] + chunk + whole[-12:]), plain)


def test_damaged_metadata_of_a_png_do_not_lose_it() -> None:
    rows = b"".join(b"\0" + bytes([3 * row] * 48) for row in range(16))
    plain = read(png(16, 16, rows=rows))
    for chunk in (EXIF, XMP):
        assert np.array_equal(read(png(16, 16, chunk[:-4] + b"sum?", rows=rows)), plain)
        assert np.array_equal(read(png(16, 16, chunk[:-4] + b"sum?", EXIF, rows=rows)), np.rot90(plain, 3))


def test_damaged_pixels_of_a_png_do() -> None:
    whole = png(16, 16, rows=b"".join(b"\0" + bytes([3 * row] * 48) for row in range(16)))
    at = whole.index(b"IDAT")
    with pytest.raises(UnreadableMedia):
        read(whole[: at + 8] + b"\xff" + whole[at + 9 :])
    for end in range(8, at + 4):
        with pytest.raises(UnreadableMedia):
            read(whole[:end])


def test_the_orientation_in_the_xmp_of_a_png() -> None:
    rows = b"".join(b"\0" + bytes([3 * row] * 48) for row in range(16))
    turned = read(png(16, 16, XMP, rows=rows))
    assert np.array_equal(turned, np.rot90(read(png(16, 16, rows=rows)), 3))


@pytest.mark.parametrize("kind", [b"teSt", b"IDAT"])
def test_a_png_of_a_million_chunks(kind: bytes) -> None:
    rows = b"".join(b"\0" + bytes(48) for _ in range(16))
    data = png(16, 16, png_chunk(kind, b"") * 1_000_000, rows=rows)
    started = time.thread_time()
    with pytest.raises(UnreadableMedia, match="too many chunks"):
        read(data)
    assert time.thread_time() - started < 1

"""Photos in, the model's array out: every format and mode, upright, within limits, by transformers' rules."""

import struct
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

from bonafide.errors import TooLarge, UnreadableMedia
from bonafide.photo.image import REDUCING_GAP, ImageLimits, _on_white, prepare, read_image
from models.info import ImageGeometry
from tests.bonafide.photo.reading import LIMITS, difference, read
from tests.hostile import deflated, png, png_chunk
from tests.media import encode_image, photo

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_gives_the_picture_back(kind: str) -> None:
    assert difference(read(encode_image(photo(), kind)), photo()) < 8


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_formats_are_exact(kind: str) -> None:
    assert np.array_equal(read(encode_image(photo(), kind)), np.asarray(photo()))


def test_lossless_webp_is_exact() -> None:
    assert np.array_equal(read(encode_image(photo(), "WEBP", lossless=True)), np.asarray(photo()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_it_is_turned_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode_image(photo(), kind, exif=exif, **({"quality": 95} if kind != "PNG" else {}))
    shown = read(data)
    height, width = shown.shape[:2]
    assert (width, height) == ((320, 240) if orientation <= 4 else (240, 320))
    bright = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    rows = slice(10, 40) if bright[0] == 0 else slice(height - 40, height - 10)
    columns = slice(10, 40) if bright[1] == 0 else slice(width - 40, width - 10)
    corner = shown[rows, columns]
    assert corner.mean() > 240


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"junk"]
)
def test_broken_exif_does_not_lose_a_photo(exif: bytes) -> None:
    exif = b"Exif\0\0" + exif
    assert read(encode_image(photo(), "WEBP", exif=exif)).shape == (240, 320, 3)
    jpeg = encode_image(photo(), "JPEG")
    marker = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert read(jpeg[:2] + marker + jpeg[2:]).shape == (240, 320, 3)


class TestModes:
    def test_transparent_parts_are_white(self) -> None:
        alpha = Image.new("L", (320, 240), 255)
        alpha.paste(0, (0, 0, 160, 240))
        image = photo()
        image.putalpha(alpha)
        for kind in ("PNG", "WEBP"):
            shown = read(encode_image(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
            assert (shown[:, :160] == 255).all()
            assert difference(shown[:, 160:], photo().crop((160, 0, 320, 240))) == 0

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
    def test_strips_leave_no_trace(self, mode: str) -> None:
        image = photo(320, 600).convert("RGBA")
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        image = image.convert(mode)
        whole = image.convert("RGBA")
        expected = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
        assert np.array_equal(np.asarray(_on_white(image)), np.asarray(expected))

    def test_half_transparent_is_half_white(self) -> None:
        image = Image.new("RGBA", (10, 10), (0, 0, 0, 128))
        assert abs(int(read(encode_image(image, "PNG"))[0, 0, 0]) - 127) <= 1

    @pytest.mark.parametrize("mode", ["1", "L", "P", "LA"])
    def test_grey_and_palettes(self, mode: str) -> None:
        image = photo().convert("L").convert(mode)
        assert np.array_equal(read(encode_image(image, "PNG")), np.asarray(image.convert("L").convert("RGB")))

    def test_a_palette_with_transparency(self) -> None:
        image = photo().quantize(16)
        shown = read(encode_image(image, "PNG", transparency=bytes([0] * 8 + [255] * 8)))
        assert (shown[np.asarray(image) < 8] == 255).all()
        assert not (shown[np.asarray(image) >= 8] == 255).all()

    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_a_transparent_colour(self, mode: str) -> None:
        image = Image.new(mode, (4, 4), 7 if mode == "L" else (7, 8, 9))
        shown = read(encode_image(image, "PNG", transparency=7 if mode == "L" else (7, 8, 9)))
        assert (shown == 255).all()

    def test_16_bit_grey_is_scaled_not_clipped(self) -> None:
        values = np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64)
        shown = read(encode_image(Image.fromarray(values), "PNG"))
        assert np.abs(shown[..., 0] - values / 257).max() <= 0.5
        assert (shown[..., 0] == shown[..., 1]).all()

    def test_16_bit_grey_with_a_transparent_value(self) -> None:
        values = np.full((4, 4), 1_000, np.uint16)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        data = png(4, 4, png_chunk(b"tRNS", struct.pack(">H", 1_000)), rows=rows, depth=16, colour=0)
        assert (read(data) == 255).all()

    @pytest.mark.parametrize("depth", [1, 2, 4, 8])
    def test_a_transparent_grey_of_any_depth(self, depth: int) -> None:
        most = 2**depth - 1
        values = [0, most, most // 3, most - most // 3] * 2
        row = int("".join(f"{value:0{depth}b}" for value in values), 2).to_bytes(depth, "big")
        for hidden in set(values):
            key = png_chunk(b"tRNS", struct.pack(">H", hidden))
            shown = read(png(8, 1, key, rows=b"\0" + row, depth=depth, colour=0))
            assert shown[0, :, 0].tolist() == [255 if each == hidden else each * 255 // most for each in values]

    def test_bits_of_a_transparent_grey_beyond_its_depth_say_nothing(self) -> None:
        key = png_chunk(b"tRNS", struct.pack(">H", 0x105))
        shown = read(png(2, 1, key, rows=b"\0\x5a", depth=4, colour=0))
        assert shown[0, :, 0].tolist() == [255, 170]

    def test_a_transparent_colour_of_16_bit(self) -> None:
        colours = [(0x1234, 0x5678, 0x9ABC), (0xFFFF, 0, 0), (0x0034, 0x0078, 0x00BC), (0x3434, 0x7878, 0xBCBC)]
        key, *_ = pixels = [struct.pack(">HHH", *colour) for colour in colours]
        shown = read(png(4, 1, png_chunk(b"tRNS", key), rows=b"\0" + b"".join(pixels), depth=16))
        assert shown[0].tolist() == [[255, 255, 255], *([value >> 8 for value in colour] for colour in colours[1:])]

    def test_16_bit_rgb(self) -> None:
        values = np.random.default_rng(0).integers(0, 65_536, (8, 8, 3)).astype(np.uint16)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        shown = read(png(8, 8, rows=rows, depth=16))
        assert np.abs(shown - values / 257).max() <= 1

    def test_cmyk_is_not_inverted(self) -> None:
        """Adobe programs store CMYK inverted; Pillow writes and reads it so."""
        cmyk = photo().convert("CMYK")
        data = encode_image(cmyk, "JPEG", quality=95)
        assert b"Adobe" in data[:400]
        assert difference(read(data), photo()) < 8

    def test_a_bmp_whose_fourth_byte_is_unused_is_not_transparent(self) -> None:
        pixels = np.dstack([np.asarray(photo(8, 8)), np.zeros((8, 8), np.uint8)])
        header = struct.pack("<IiiHHIIiiII", 56, 8, -8, 1, 32, 3, 256, 0, 0, 0, 0)
        masks = struct.pack("<IIII", 0x000000FF, 0x0000FF00, 0x00FF0000, 0xFF000000)
        data = b"BM" + struct.pack("<IHHI", 70 + 256, 0, 0, 70) + header + masks + pixels.tobytes()
        assert np.array_equal(read(data), np.asarray(photo(8, 8)))

    def test_of_an_animation_the_first_frame_counts(self) -> None:
        frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
        for kind in ("GIF", "WEBP", "PNG"):
            data = encode_image(frames[0], kind, save_all=True, append_images=frames[1:])
            assert np.abs(read(data)[0, 0].astype(int) - [255, 0, 0]).max() <= 2


class TestLimits:
    def test_bytes(self) -> None:
        data = encode_image(photo(), "PNG")
        with pytest.raises(TooLarge, match="bytes"):
            read_image(data, ImageLimits(len(data) - 1, 10**9))

    @pytest.mark.parametrize("kind", FORMATS)
    def test_pixels(self, kind: str) -> None:
        data = encode_image(photo(), kind)
        assert read_image(data, ImageLimits(2**20, 320 * 240)).size == (320, 240)
        with pytest.raises(TooLarge, match="320 x 240 pixels"):
            read_image(data, ImageLimits(2**20, 320 * 240 - 1))

    @pytest.mark.parametrize("side", [50_000, 2**31 - 1])
    def test_a_huge_png_is_refused_before_it_is_decoded(self, side: int) -> None:
        data = png(side, side, rows=bytes(2**20))
        tracemalloc.start()
        started = time.perf_counter()
        with pytest.raises(TooLarge, match="pixels"):
            read(data)
        elapsed, (_, peak) = time.perf_counter() - started, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert elapsed < 0.5
        assert peak < 2**20

    @pytest.mark.parametrize("kind", ["BMP", "GIF"])
    def test_a_huge_header_of_another_format(self, kind: str) -> None:
        data = bytearray(encode_image(photo(), kind))
        if kind == "BMP":
            data[18:26] = struct.pack("<ii", 50_000, 50_000)
        else:
            data[6:10] = struct.pack("<HH", 50_000, 50_000)
        with pytest.raises(TooLarge, match="50000 x 50000"):
            read(bytes(data))

    def test_more_than_pillow_likes_is_our_decision(self) -> None:
        """Pillow warns above 89 million pixels and refuses above 179 million; here only our limit counts."""
        side = 9_600
        data = png(side, side, rows=bytes(side * (side // 8 + 1)), depth=1, colour=0)
        assert read_image(data, ImageLimits(2**24, 10**8)).size == (side, side)

    @pytest.mark.parametrize("size", [(1, 40_000), (40_000, 1), (3, 301)])
    def test_a_strip_is_not_a_photo(self, size: tuple[int, int]) -> None:
        with pytest.raises(UnreadableMedia, match="strip"):
            read(encode_image(Image.new("RGB", size), "PNG"))


class TestBroken:
    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("kept", [0.02, 0.1, 0.5, 0.9, 0.99])
    def test_a_truncated_file(self, kind: str, kept: float) -> None:
        data = encode_image(photo(), kind)
        with pytest.raises(UnreadableMedia):
            read(data[: int(len(data) * kept)])

    def test_no_bytes(self) -> None:
        with pytest.raises(UnreadableMedia, match="empty"):
            read(b"")

    @pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "TGA", "JPEG2000", "EPS", "PDF", "AVIF", "DDS", "PCX"])
    def test_what_pillow_could_also_open_is_refused(self, kind: str) -> None:
        with pytest.raises(UnreadableMedia, match="not accepted; send JPEG, PNG, WebP, BMP or GIF"):
            read(encode_image(photo(64, 64), kind))

    @pytest.mark.parametrize("chunk", [b"zTXt", b"iTXt", b"iCCP"])
    def test_a_chunk_that_unpacks_to_gigabytes(self, chunk: bytes) -> None:
        bomb = deflated(b"", 60 * 2**20)
        header = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[chunk]
        rows = b"".join(b"\0" + bytes(48) for _ in range(16))
        data = png(16, 16, png_chunk(chunk, header + bomb), rows=rows)
        tracemalloc.start()
        with suppress(UnreadableMedia):  # Pillow may drop the chunk, or refuse the file
            assert read(data).shape == (16, 16, 3)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 16 * 2**20

    def test_a_jpeg_of_thousands_of_scans(self) -> None:
        data = encode_image(photo(1_600, 1_200), "JPEG", progressive=True)
        start = data.rindex(b"\xff\xda")
        bomb = data[:start] + data[start:-2] * 300 + data[-2:]
        started = time.perf_counter()
        with pytest.raises(UnreadableMedia, match="scans"):
            read(bomb)
        assert time.perf_counter() - started < 1

    def test_an_ordinary_progressive_jpeg(self) -> None:
        assert difference(read(encode_image(photo(), "JPEG", progressive=True, quality=95)), photo()) < 3


def test_an_orientation_in_xmp_turns_the_photo() -> None:
    turned = read(encode_image(photo(), "JPEG", xmp=b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'))
    assert turned.shape == (320, 240, 3)


def test_threads_do_not_disturb_each_other() -> None:
    pictures = [encode_image(photo(200 + 8 * i, 200, seed=i), FORMATS[i % 5]) for i in range(10)]
    alone = [read(data) for data in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(read, pictures * 6))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 6, together, strict=True))


def by_transformers(image: Image.Image, geometry: ImageGeometry) -> np.ndarray:
    edge = geometry.resize_shortest_edge
    size: dict[str, Any] = {"height": geometry.resize_height, "width": geometry.resize_width}
    processor = BitImageProcessorPil(
        do_resize=edge is not None or geometry.resize_height is not None,
        size={"shortest_edge": edge} if edge else size,
        resample=geometry.resample,
        do_center_crop=geometry.crop_height is not None,
        crop_size={"height": geometry.crop_height or 1, "width": geometry.crop_width or 1},
        do_rescale=False,
        do_normalize=False,
    )
    (pixels,) = np.asarray(processor(image, return_tensors="np")["pixel_values"])
    return np.moveaxis(pixels, 0, -1)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(20, 300), st.integers(20, 300)),
    st.one_of(st.none(), st.integers(16, 260)),
    st.one_of(st.none(), st.tuples(st.integers(1, 300), st.integers(1, 300))),
    st.sampled_from([2, 3]),
)
def test_the_geometry_is_that_of_transformers(
    size: tuple[int, int], edge: int | None, crop: tuple[int, int] | None, resample: int
) -> None:
    height, width = crop or (None, None)
    geometry = ImageGeometry(edge, None if edge else 77, None if edge else 91, height, width, resample)
    image = photo(*size)
    ours = prepare(image, geometry)
    assert ours.dtype == np.uint8
    theirs = by_transformers(image, geometry)
    width, height = image.size
    new_width, new_height = geometry.resized(width, height)
    exact = width < 2 * REDUCING_GAP * new_width and height < 2 * REDUCING_GAP * new_height
    assert np.abs(ours.astype(int) - theirs.astype(int)).max(initial=0) <= (0 if exact else 8)


def test_no_resize_and_no_crop_leave_the_picture() -> None:
    assert np.array_equal(prepare(photo(), ImageGeometry(None, None, None, None, None, 3)), np.asarray(photo()))


def test_a_photo_becomes_what_the_usual_model_takes() -> None:
    pixels = prepare(read_image(encode_image(photo(), "JPEG"), LIMITS), ImageGeometry(256, None, None, 224, 224, 3))
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("side", [9_000, 13_000, 16_383])
@pytest.mark.parametrize("kind", ["VP8X", "VP8L", "VP8 ", "GIF"])
def test_what_pillow_takes_for_a_bomb_is_too_large(kind: str, side: int) -> None:
    """Its WebP reader has the canvas allocated first, and a GIF's frame may be larger than its screen."""
    side, small = (4 * side if kind == "GIF" else side), photo(8, 8)
    if kind == "GIF":
        data = bytearray(encode_image(small, kind))
        frame = data.index(b"\x2c")
        data[frame + 5 : frame + 9] = struct.pack("<HH", side, side)
    else:
        data = bytearray(encode_image(small, "WEBP", lossless=kind == "VP8L", exif=b"II*\0" * (kind == "VP8X")))
        assert data[12:16] == kind.encode()
        place, size = {
            "VP8X": (24, 2 * (side - 1).to_bytes(3, "little")),
            "VP8L": (21, (side - 1 | side - 1 << 14).to_bytes(4, "little")),
            "VP8 ": (26, struct.pack("<HH", side, side)),
        }[kind]
        data[place : place + len(size)] = size
    tracemalloc.start()
    with pytest.raises(TooLarge, match="pixels"):
        read(bytes(data))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20

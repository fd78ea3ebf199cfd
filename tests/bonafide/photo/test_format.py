"""Which photo formats are taken, which are refused by name, and the orientation of a photo."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.errors import UnreadableMedia
from bonafide.photo.format import identify, stated_orientation
from tests.media import encode_image, photo


@pytest.mark.parametrize(
    ("kind", "name"), [("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "WebP"), ("BMP", "BMP"), ("GIF", "GIF")]
)
def test_accepted(kind: str, name: str) -> None:
    assert identify(encode_image(photo(16, 16), kind)) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"%!PS-Adobe-3.0 EPSF", "EPS"),
        (b"8BPS\0\1", "PSD"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypmif1", "HEIC"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", "HEIC"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"\0\0\1\0\1\0", "ICO"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"anything else", "this format"),
    ],
)
def test_refused_by_name(head: bytes, name: str) -> None:
    with pytest.raises(UnreadableMedia, match=f"^{name} is not accepted; send JPEG, PNG, WebP, BMP or GIF(;|$)"):
        identify(head + bytes(50))


def block(order: str, orientation: int, tag: int = 0x0112, kind: int = 3) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", tag, kind, 1, orientation, 0)
    return b"Exif\0\0" + mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(order: str, orientation: int) -> None:
    assert stated_orientation(block(order, orientation), None) == orientation
    assert stated_orientation(block(order, orientation).removeprefix(b"Exif\0\0"), None) == orientation


def test_an_orientation_behind_a_second_prefix() -> None:
    """Some programs write the prefix that a JPEG needs into a PNG or WebP too, where Pillow puts one before it."""
    assert stated_orientation(b"Exif\0\0" + block("<", 6), None) == 6


def test_without_an_orientation_it_is_upright() -> None:
    assert stated_orientation(None, None) == 1
    assert stated_orientation("not bytes", 7) == 1
    assert stated_orientation(block("<", 6, tag=0x0110), None) == 1
    assert stated_orientation(block("<", 6, kind=2), None) == 1


@given(st.binary(max_size=100), st.sampled_from([b"", b"Exif\0\0II*\0", b"MM\0*", block("<", 6)]))
def test_any_bytes_have_an_orientation(data: bytes, head: bytes) -> None:
    assert isinstance(stated_orientation(head + data, data), int)
    assert isinstance(stated_orientation(head[: len(data) % 40], head), int)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "code"), [(1, "Bxxx"), (3, "Hxx"), (4, "I"), (8, "hxx"), (9, "i")])
def test_an_orientation_of_any_number_type(order: str, kind: int, code: str) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHI{code}", 0x0112, kind, 1, 6)
    assert stated_orientation(mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4), None) == 6


@pytest.mark.parametrize("text", [b'<x tiff:Orientation="6"/>', b"<tiff:Orientation>6</tiff:Orientation>"])
def test_an_orientation_in_xmp_alone(text: bytes) -> None:
    assert stated_orientation(None, text) == 6
    assert stated_orientation(block("<", 3), text) == 3
    assert stated_orientation(block("<", 3, tag=0x0110), text) == 6


def test_who_sends_heic_is_told_what_to_do() -> None:
    with pytest.raises(UnreadableMedia, match=r"HEIC is not accepted.*Most Compatible"):
        identify(b"\0\0\0\x18ftypheic" + bytes(50))

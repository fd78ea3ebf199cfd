"""A photo's format, and the size of a WebP, by its first bytes; its orientation by its EXIF block. Decodes nothing."""

import re
import struct

from bonafide.errors import UnreadableMedia

ACCEPTED = "JPEG, PNG, WebP, BMP or GIF"
"""Named in error messages."""

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
)
_REFUSED = (
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"SIMPLE  =", "FITS"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x00\x00\x02\x00", "CUR"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"DDS ", "DDS"),
    (b"icns", "ICNS"),
    (b"qoif", "QOI"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"P1", "PNM"),
    (b"P2", "PNM"),
    (b"P3", "PNM"),
    (b"P4", "PNM"),
    (b"P5", "PNM"),
    (b"P6", "PNM"),
)
_HEIF_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"hevc": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"heif": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC",
}
_ANY_CODEC = (b"mif1", b"msf1", b"heif")
"""Brands that AVIF files carry too."""
_EXIF_PREFIX = b"Exif\x00\x00"
_ORIENTATION_TAG = 0x0112
_NUMBERS = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i"}
"""Types of EXIF numbers; the standard asks for 3, but others are written too."""
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\b")
_VP8L_SIGNATURE, _VP8_SIDE = 0x2F, 0x3FFF
"""A byte, and the bits of a side; what is left of them is for other things."""
_WAY_OUT = {
    "HEIC": "; iPhones take JPEG with Settings > Camera > Formats > Most Compatible",
    "AVIF": "; browsers and phones save it as JPEG when it is shared or exported",
    "TIFF": "; export it as JPEG or PNG",
}


def identify(data: bytes) -> str:
    """Names the format: `JPEG`, `PNG`, `WebP`, `BMP` or `GIF`.

    Raises:
        UnreadableMedia: no bytes, or another format, which the message names if it is a known one.
    """
    if not data:
        raise UnreadableMedia("the photo is empty")
    head = data[:1024]
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    name = _foreign_name(head)
    raise UnreadableMedia(f"{name} is not accepted; send {ACCEPTED}{_WAY_OUT.get(name, '')}")


def broken(kind: str) -> UnreadableMedia:
    """What is raised for a photo of a format that is accepted, and cannot be decoded."""
    return UnreadableMedia(f"the {kind} cannot be decoded: it is broken or truncated; send {ACCEPTED}")


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of the canvas of a WebP, by the header of its first chunk.

    Raises:
        UnreadableMedia: it has none.
    """
    name, body = data[12:16], data[20:30]
    if name == b"VP8X" and len(body) == 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if name == b"VP8L" and len(body) >= 5 and body[0] == _VP8L_SIGNATURE:
        sides = int.from_bytes(body[1:5], "little")
        return (sides & _VP8_SIDE) + 1, (sides >> 14 & _VP8_SIDE) + 1
    if name == b"VP8 " and len(body) == 10:
        width, height = struct.unpack("<HH", body[6:])
        return width & _VP8_SIDE, height & _VP8_SIDE
    raise broken("WebP")


def stated_orientation(exif: object, xmp: object) -> int:
    """The orientation 1..8 that the metadata states, EXIF before XMP; 1 (upright) where there is none.

    A photo is judged even if its metadata is broken, which Pillow's own reader would not allow.

    Args:
        exif: the EXIF block, if bytes.
        xmp: the XMP packet, if bytes.
    """
    stated = _exif_orientation(exif) if isinstance(exif, bytes) else None
    if stated is None and isinstance(xmp, bytes) and (found := _XMP_ORIENTATION.search(xmp)):
        stated = int(found[1])
    return stated or 1


def _exif_orientation(exif: bytes) -> int | None:
    # Pillow puts one before that of a PNG, where some programs have written one.
    tiff = exif.removeprefix(_EXIF_PREFIX).removeprefix(_EXIF_PREFIX)
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(count):
            at = start + 2 + 12 * entry
            tag, kind = struct.unpack_from(f"{order}HH", tiff, at)
            if tag == _ORIENTATION_TAG and (code := _NUMBERS.get(kind)):
                (value,) = struct.unpack_from(f"{order}{code}", tiff, at + 8)
                return value if 1 <= value <= 8 else None
    except struct.error:
        return None
    return None


def _foreign_name(head: bytes) -> str:
    for magic, name in _REFUSED:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        brands = [head[at : at + 4] for at in (8, *range(16, min(len(head), int.from_bytes(head[:4], "big")), 4))]
        general = next((brand for brand in brands if brand not in _ANY_CODEC and brand in _HEIF_BRANDS), brands[0])
        return _HEIF_BRANDS.get(general, "this format")
    if b"<svg" in head.lower():
        return "SVG"
    return "this format"

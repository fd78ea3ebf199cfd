"""Untrusted bytes -> an upright RGB photo -> the uint8 array that a face model is given. Depends on Pillow only.

Only JPEG, PNG, WebP, BMP and the first frame of a GIF are opened; the size is checked before decoding.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from bonafide.errors import TooLarge, UnreadableMedia
from bonafide.photo.format import ACCEPTED, broken, identify, stated_orientation, webp_size
from bonafide.photo.jpeg import END, any_rest, lacks_scans, structure, written
from bonafide.photo.plain_bilinear import resized
from bonafide.photo.png import without_extras
from models.info import ImageGeometry

if TYPE_CHECKING:  # decoding processes have no settings
    from bonafide.settings import Settings


class _Jpeg(JpegImageFile):
    """Pillow's reader without its search for a resolution in the EXIF block, which warns if that is damaged."""

    def _read_dpi_from_exif(self) -> None:
        return


class _Png(PngImageFile):
    """Pillow's reader with the transparent colour in 8 bits, as it gives the pixels, and not as deep as in the file."""

    def _open(self) -> None:
        super()._open()
        key = self.info.get("transparency")
        if key is not None and self.tile:
            self.info["transparency"] = _in_8_bits(key, self.tile[0].args)


class _WebP(WebPImageFile):
    """Pillow's reader, which lets go of its decoder, and two copies of the picture in it, behind the first frame."""

    def _get_next(self) -> tuple[bytes, int, int]:
        frame = super()._get_next()
        del self._decoder
        return frame


_READERS: dict[str, type[ImageFile]] = {
    "JPEG": _Jpeg,
    "PNG": _Png,
    "WebP": _WebP,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
}
Size = tuple[int, int]
"""Width and height in pixels."""

REDUCING_GAP = 3.0
"""From so many times the size on, averaging pixels before the filter changes nothing that counts."""
_WHITE = (255, 255, 255, 255)
_STRIP_ROWS = 256
_MAX_SCANS = 200
_MAX_ELONGATED = 100
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_ON_ITS_SIDE = range(5, 9)


@dataclass(frozen=True)
class ImageLimits:
    """What a photo may hold at most; beyond it TooLarge.

    Attributes:
        max_bytes: size of the file.
        max_pixels: width times height, known from the header.
    """

    max_bytes: int
    max_pixels: int

    @classmethod
    def from_settings(cls, settings: "Settings") -> Self:
        """The limits that the settings name."""
        return cls(settings.max_image_bytes, settings.max_image_pixels)


def read_image(data: bytes, limits: ImageLimits) -> Image.Image:
    """Decodes a photo and turns it upright: `read_reduced` at full size."""
    return read_reduced(data, limits, lambda _: 1)[0]


def read_reduced(data: bytes, limits: ImageLimits, wanted: Callable[[Size], int]) -> tuple[Image.Image, int]:
    """Decodes a photo, smaller than it is where that saves work, and turns it upright.

    A JPEG is made of blocks of 8 x 8 pixels, which libjpeg decodes to 4 x 4, 2 x 2 or 1 for a fraction of the time.
    Other formats are decoded at full size.

    Transparent parts are put on white, 16 bit greys are scaled, CMYK is converted by Pillow's formula without its
    colour profile, and of an animation the first frame counts.

    Args:
        data: the file.
        limits: of what is read.
        wanted: by which the edges may be divided, 1, 2, 4 or 8, given the width and height of the upright photo.

    Returns:
        A picture of mode RGB, and by which its edges have been divided; a rest is rounded up.

    Raises:
        UnreadableMedia: empty, broken, truncated, a format that is not accepted, or a strip rather than a picture.
        TooLarge: more bytes or pixels than allowed.
    """
    if len(data) > limits.max_bytes:
        raise TooLarge(f"a photo of {len(data)} bytes; at most {limits.max_bytes} are accepted")
    kind = identify(data)
    match kind:
        case "JPEG":
            data = _checked_jpeg(data, limits)
        case "PNG":
            data = without_extras(data)
        case "WebP":  # Pillow has the canvas allocated before it tells its size
            _check_size(webp_size(data), limits)
    try:
        picture, orientation, reduction = _decoded(_READERS[kind], data, limits, wanted)
        upright = _UPRIGHT.get(orientation)
        return (picture if upright is None else picture.transpose(upright)), reduction
    except (TooLarge, UnreadableMedia, MemoryError):  # the last says nothing of the file
        raise
    except Image.DecompressionBombError as error:  # by the frame of a GIF, which may be larger than its screen
        raise TooLarge(f"a photo of too many pixels; at most {limits.max_pixels} are accepted") from error
    except Exception as error:  # Pillow raises nearly anything on a broken file
        raise broken(kind) from error


def prepare(image: Image.Image, geometry: ImageGeometry) -> NDArray[np.uint8]:
    """Resizes and crops a photo by the rules of transformers' `BitImageProcessor` (its Pillow backend).

    Where a photo has six times the size asked for or more, single values may differ by 2 of 255 from the exact filter,
    more where few pixels are asked for.

    Args:
        image: of mode RGB.
        geometry: from the checkpoint's own processor file.

    Returns:
        uint8 array (height, width, 3).
    """
    size = geometry.resized(image.width, image.height)
    if size != image.size and geometry.antialias:
        image = image.resize(size, resample=Image.Resampling(geometry.resample), reducing_gap=REDUCING_GAP)
    pixels: NDArray[np.uint8] = np.asarray(image)
    if size != image.size:
        pixels = resized(pixels, *size)
    if geometry.crop_height is None or geometry.crop_width is None:
        return pixels
    return _centre(pixels, geometry.crop_height, geometry.crop_width, half_to_even=geometry.crop_half_to_even)


def _decoded(
    reader: type[ImageFile], data: bytes, limits: ImageLimits, wanted: Callable[[Size], int]
) -> tuple[Image.Image, int, int]:
    """The picture as RGB, its orientation, and by which its edges have been divided; frees what it was made of."""
    with reader(BytesIO(data)) as image:
        _check_size(image.size, limits)
        reduction = _reduce(image, wanted) if isinstance(image, _Jpeg) else 1
        image.load()
        return _to_rgb(image), _orientation(image), reduction


def _checked_jpeg(data: bytes, limits: ImageLimits) -> bytes:
    """The JPEG, with its end marker where only that was missing."""
    found = structure(data)
    if found.scans > _MAX_SCANS:  # each scan walks over all pixels again
        raise UnreadableMedia("the JPEG has too many scans")
    if found.end is not None or not found.scans:
        return data
    try:
        for begun in written(data):
            # What comes after a whole picture changes nothing; pixels that are missing would be read from it.
            ended, longer = begun + END, begun + any_rest(begun) + END
            if not lacks_scans(begun) and _digest(ended, limits) == _digest(longer, limits):
                return ended
    except (OSError, SyntaxError, ValueError) as error:
        raise broken("JPEG") from error
    raise UnreadableMedia(f"the JPEG cannot be decoded: it is truncated; send {ACCEPTED}")


def _digest(jpeg: bytes, limits: ImageLimits) -> bytes:
    """Of all pixels: two pictures to compare would be held at once."""
    found = sha256()
    with _Jpeg(BytesIO(jpeg)) as image:
        _check_size(image.size, limits)
        for _, strip in _strips(image):
            found.update(strip.tobytes())
    return found.digest()


def _orientation(image: ImageFile) -> int:
    return stated_orientation(image.info.get("exif"), image.info.get("xmp"))


def _in_8_bits(key: Any, packed: Any) -> Any:
    """A transparent colour of a PNG whose pixels are packed so, by Pillow's name; that of other ones stays as it is."""
    match packed:
        case "L;2":
            return (key & 3) * 85
        case "L;4":
            return (key & 15) * 17
        case "RGB;16B":
            return tuple(value >> 8 for value in key)
    return key


def _reduce(image: _Jpeg, wanted: Callable[[Size], int]) -> int:
    """Makes it load with edges divided; returns by how much."""
    by = wanted(image.size[::-1] if _orientation(image) in _ON_ITS_SIDE else image.size)
    if by > 1:
        image.draft(None, (max(1, image.width // by), max(1, image.height // by)))
    return image.decoderconfig[0] if image.decoderconfig else 1


def _check_size(size: Size, limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise TooLarge(f"a photo of {width} x {height} pixels; at most {limits.max_pixels} are accepted")
    if max(width, height) > _MAX_ELONGATED * min(width, height):
        raise UnreadableMedia(f"{width} x {height} pixels are a strip, not a photo")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_16_bit_grey(image)
    transparent = "transparency" in image.info or image.mode in {"LA", "PA", "La", "RGBA", "RGBa"}
    if not transparent:
        return image if image.mode == "RGB" else image.convert("RGB")
    if image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")  # an unused fourth byte, not alpha
    return _on_white(image)


def _on_white(image: Image.Image) -> Image.Image:
    opaque = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        part = strip.convert("RGBA")
        opaque.paste(Image.alpha_composite(Image.new("RGBA", part.size, _WHITE), part), (0, top))
    return opaque


def _from_16_bit_grey(image: Image.Image) -> Image.Image:
    """Scales 0..65535 to 0..255, where Pillow's own conversion would clip."""
    scaled = Image.new("RGB", image.size)
    hidden = image.info.get("transparency")
    for top, strip in _strips(image):
        wide = np.asarray(strip).astype(np.uint32)
        grey = ((wide * 255 + 32_767) // 65_535).astype(np.uint8)
        if hidden is not None:
            grey[wide == hidden] = 255
        scaled.paste(Image.fromarray(grey), (0, top))
    return scaled


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Parts as wide as the picture, with their tops: whole pictures in between would take its memory several times."""
    for top in range(0, image.height, _STRIP_ROWS):
        yield top, image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height)))


def _centre(pixels: NDArray[np.uint8], height: int, width: int, *, half_to_even: bool) -> NDArray[np.uint8]:
    """The middle of the picture; black where it is smaller, an odd black row or column being the first."""
    missing_rows, missing_columns = max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1])
    if missing_rows or missing_columns:
        above, left = (missing_rows + 1) // 2, (missing_columns + 1) // 2
        pixels = np.pad(pixels, ((above, missing_rows - above), (left, missing_columns - left), (0, 0)))
    spare = pixels.shape[0] - height, pixels.shape[1] - width
    top, left = (round(each / 2) if half_to_even else each // 2 for each in spare)
    return pixels[top : top + height, left : left + width]

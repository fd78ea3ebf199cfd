"""What a model is given of a photo whose faces are known, and why its verdict may be weak. Knows Pillow only.

Also how small a photo may be decoded without a difference to any of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonafide.photo.faces import FAR_SIDE, LOOKED_AT_GAP, Box, Face
from bonafide.photo.image import REDUCING_GAP, Size, prepare
from bonafide.photo.quality import LIGHT_SIDE, QualityLimits, Reason, reason_against
from models.info import ImageGeometry


@dataclass(frozen=True)
class Photo:
    """A photo that can be judged.

    Attributes:
        pixels: uint8 (height, width, 3), as the model takes it; of several pictures see `prepared_for_all`.
        reason: why the verdict should not be relied on, or None.
        faces: all that were found in the picture, the largest first.
    """

    pixels: NDArray[np.uint8]
    reason: Reason | None
    faces: tuple[Face, ...]


def prepared(
    picture: Image.Image,
    faces: Sequence[Face],
    geometry: ImageGeometry,
    quality: QualityLimits,
    crop_margin: float | None,
) -> tuple[NDArray[np.uint8], Reason | None]:
    """The pixels for the model, uint8 `(height, width, 3)`, and a reason not to rely on its verdict.

    Args:
        picture: upright, of mode RGB.
        faces: all that were found in it, the largest first.
        geometry: how it is prepared.
        quality: from where on there is a reason.
        crop_margin: see `PhotoRules`; a model with a factor of its own is given what it was trained with.
    """
    judged = (0, 0, *picture.size)
    if faces and geometry.face_factor is not None:
        judged = around_face(faces[0].box(picture.size), geometry.face_factor, picture.size)
    elif faces and crop_margin is not None:
        judged = with_margin(faces[0].box(picture.size), crop_margin, picture.size)
    part = picture if judged == (0, 0, *picture.size) else picture.crop(judged)
    return prepare(part, geometry), reason_against(picture, faces, judged, geometry, quality)


def prepared_for_all(
    picture: Image.Image,
    faces: Sequence[Face],
    geometries: Sequence[ImageGeometry],
    quality: QualityLimits,
    crop_margin: float | None,
) -> Photo:
    """As `prepared`, for each of these geometries: one picture, or the values of several one after the other, `(n,)`.

    A face is small only if it is for all of them: a model may be given wide crops, and another beside it the face.
    """
    views = [prepared(picture, faces, geometry, quality, crop_margin) for geometry in geometries]
    pictures = [pixels for pixels, _ in views]
    reason = next((reason for _, reason in views if reason is not Reason.SMALL_FACE), Reason.SMALL_FACE)
    pixels = pictures[0] if len(pictures) == 1 else np.concatenate([each.ravel() for each in pictures])
    return Photo(pixels, reason, tuple(faces))


def possible_reduction(
    size: Size, faces: Sequence[Face], geometry: ImageGeometry, crop_margin: float | None, min_pixels: float
) -> int:
    """By how much the edges of a photo may be divided before it is searched and prepared: 8, 4, 2 or 1.

    Without a rest, so that nothing moves. With a configured margin it is 1, since scores depend on the pixel where the
    cut is, and where the model's filter reads single pixels. What a model's own factor cuts out has to be large enough
    itself, so that the cut moves by a fraction of the model's pixels.

    Args:
        size: width and height of the photo.
        faces: all that were found in it, the largest first; none while they are not known.
        geometry: how it is prepared.
        crop_margin: see `PhotoRules`.
        min_pixels: see `QualityLimits`; of a model with a factor of its own they are pixels of the photo.
    """
    reads_single_pixels = not geometry.antialias or geometry.resample == Image.Resampling.NEAREST
    if reads_single_pixels or (crop_margin is not None and geometry.face_factor is None):
        return 1
    judged, least = size, LOOKED_AT_GAP * LIGHT_SIDE
    box = faces[0].box(size) if faces else None
    if box and geometry.face_factor is not None:
        left, top, right, bottom = around_face(box, geometry.face_factor, size)
        judged, least = (right - left, bottom - top), max(least, min_pixels)
    width, height = geometry.resized(*judged)
    spare = min(judged[0] / (REDUCING_GAP * width), judged[1] / (REDUCING_GAP * height))
    spare = min(spare, max(size) / (LOOKED_AT_GAP * FAR_SIDE))
    if box:
        left, top, right, bottom = box
        spare = min(spare, min(right - left, bottom - top) / least)
    return next((by for by in (8, 4, 2) if spare >= by and not any(edge % by for edge in size)), 1)


def around_face(box: Box, factor: float, size: Size) -> Box:
    """A face's box times `factor` about its centre, shrunk and shifted to stay inside the picture.

    Its shape is that of the box: where the picture is too small for the factor, width and height shrink alike.

    Args:
        box: of the face.
        factor: 1 or more.
        size: width and height of the picture.
    """
    left, top, right, bottom = box
    factor = min(factor, size[0] / (right - left), size[1] / (bottom - top))
    columns = _scaled(left, right, factor, size[0])
    rows = _scaled(top, bottom, factor, size[1])
    return columns[0], rows[0], columns[1], rows[1]


def _scaled(start: int, stop: int, factor: float, edge: int) -> tuple[int, int]:
    """An interval times `factor` about its middle, shifted into 0..edge; at least a pixel."""
    length = max(1, min(edge, round(factor * (stop - start))))
    first = min(max(0, round((start + stop - length) / 2)), edge - length)
    return first, first + length


def with_margin(box: Box, margin: float, size: tuple[int, int]) -> Box:
    """A square around a face, moved to lie within the picture; less than square where the picture is too narrow.

    Args:
        box: of the face.
        margin: what is added on each side, as a share of the longer one.
        size: width and height of the picture.
    """
    left, top, right, bottom = box
    side = round((1 + 2 * margin) * max(right - left, bottom - top))
    width, height = (min(side, edge) for edge in size)
    left = min(max(0, (left + right - width) // 2), size[0] - width)
    top = min(max(0, (top + bottom - height) // 2), size[1] - height)
    return left, top, left + width, top + height

"""Why the verdict on a photo should not be relied on: a photo and its faces in, a reason or None out.

The verdict is given anyway, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonafide.photo.faces import LOOKED_AT_GAP, Box, Face
from models.info import ImageGeometry

if TYPE_CHECKING:  # decoding processes have no settings
    from bonafide.settings import Settings

LIGHT_SIDE = 64
"""Pixels of the square in which the light and the sharpness of every face are measured, whatever its size."""


class Reason(StrEnum):
    """What can be wrong with a photo, the gravest first; the value is the one on the wire."""

    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    SMALL_FACE = "small_face"
    DARK = "dark"
    BLURRED = "blurred"


@dataclass(frozen=True)
class QualityLimits:
    """Limits beyond which there is a reason; see the settings `face_...` of the same names."""

    several_share: float
    min_pixels: float
    min_brightness: float
    min_sharpness: float

    @classmethod
    def from_settings(cls, settings: "Settings") -> Self:
        """The limits that the settings name."""
        return cls(
            several_share=settings.face_several_share,
            min_pixels=settings.face_min_pixels,
            min_brightness=settings.face_min_brightness,
            min_sharpness=settings.face_min_sharpness,
        )


def reason_against(
    photo: Image.Image, faces: Sequence[Face], judged: Box, geometry: ImageGeometry, limits: QualityLimits
) -> Reason | None:
    """The gravest reason not to rely on the verdict, or None.

    Args:
        photo: upright, of mode RGB.
        faces: all that were found in it, the largest first.
        judged: the part of the photo that is prepared for the model.
        geometry: how it is prepared.
        limits: beyond which there is a reason.
    """
    if not faces:
        return Reason.NO_FACE
    largest, others = faces[0], faces[1:]
    if others and others[0].area >= limits.several_share**2 * largest.area:
        return Reason.SEVERAL_FACES
    box = largest.box(photo.size)
    if seen_pixels(box, judged, geometry) < limits.min_pixels:
        return Reason.SMALL_FACE
    light = luminance(photo, box)
    if brightness(light) < limits.min_brightness:
        return Reason.DARK
    if sharpness(light) < limits.min_sharpness:
        return Reason.BLURRED
    return None


def seen_pixels(box: Box, judged: Box, geometry: ImageGeometry) -> float:
    """The shorter side of what the model is given of a face, in pixels of the photo or of the model, whichever is less.

    Of the photo, if the model has a factor of its own: it was trained on as few pixels as that leaves of any face. A
    face that the model's cut at the centre removes has none.
    """
    own_factor = geometry.face_factor is not None
    width, height = judged[2] - judged[0], judged[3] - judged[1]
    resized_width, resized_height = geometry.resized(width, height)
    return min(
        _seen(box[0] - judged[0], box[2] - judged[0], width, resized_width, geometry.crop_width, own_factor),
        _seen(box[1] - judged[1], box[3] - judged[1], height, resized_height, geometry.crop_height, own_factor),
    )


def luminance(photo: Image.Image, box: Box) -> NDArray[np.float32]:
    """The luminance of a face, 0..255, scaled to `(64, 64)`."""
    face = photo.resize((LIGHT_SIDE, LIGHT_SIDE), Image.Resampling.BILINEAR, box=box, reducing_gap=LOOKED_AT_GAP)
    return np.asarray(face.convert("L"), np.float32)


def brightness(light: NDArray[np.float32]) -> float:
    """Mean luminance, 0..255."""
    return float(light.mean())


def sharpness(light: NDArray[np.float32]) -> float:
    """Variance of the Laplacian, as a share of that of the luminance, so that light and contrast do not count.

    Real photos have 0.05 to 0.5; 0 where nothing varies.
    """
    contrast = float(light.var())
    inner = light[1:-1, 1:-1]
    laplacian = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:] - 4 * inner
    return float(laplacian.var()) / contrast if contrast else 0.0


def _seen(start: int, stop: int, length: int, resized: int, crop: int | None, in_photo: bool) -> float:
    """What is left of start..stop along an edge of this length, resized and cut to `crop` pixels.

    `in_photo`: in pixels before the resize.
    """
    scale = resized / length
    cut = 0.0 if crop is None else max(0.0, (resized - crop) / 2 / scale)
    return max(0.0, min(stop, length - cut) - max(start, cut)) * (1.0 if in_photo else min(1.0, scale))

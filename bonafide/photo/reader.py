"""From the bytes of a photo to what the model is given, with the faces in it and the reason not to rely on its verdict.

bytes -> RGB, upright -> faces -> the whole picture, or the largest face -> resized and cropped for the model
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bonafide.photo.face_detector import Box, Face, FaceDetector
from bonafide.photo.image import ImageLimits, prepare, read_image
from bonafide.photo.quality import QualityLimits, Reason, reason_against
from bonafide.settings import Settings
from models.info import ImageGeometry


@dataclass(frozen=True)
class Photo:
    """A photo that can be judged.

    Attributes:
        pixels: uint8 (height, width, 3), as the model takes it.
        faces: all that were found in the picture, the largest first.
        reason: why the verdict should not be relied on, or None.
    """

    pixels: NDArray[np.uint8]
    faces: tuple[Face, ...]
    reason: Reason | None


class PhotoReader:
    """Reads photos; may be used by several threads at a time.

    Args:
        limits: of what is read.
        quality: limits beyond which there is a reason.
        crop_margin: the largest face is judged, with so much of its longer side around it; None: the whole picture.
        finder: finds the faces.
    """

    def __init__(
        self, *, limits: ImageLimits, quality: QualityLimits, crop_margin: float | None, finder: FaceDetector
    ) -> None:
        self._limits = limits
        self._quality = quality
        self._crop_margin = crop_margin
        self._finder = finder

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """A reader built from the settings, for the decoding threads."""
        return cls(
            limits=ImageLimits.from_settings(settings),
            quality=QualityLimits.from_settings(settings),
            crop_margin=settings.face_crop_margin if settings.face_crop else None,
            finder=FaceDetector.of_process(settings.decode_threads),
        )

    @property
    def identity(self) -> str:
        """Identifies what its results depend on besides the photo and the model."""
        return f"crop {self._crop_margin}, {self._quality}"

    def read(self, data: bytes, geometry: ImageGeometry) -> Photo:
        """Decodes a photo, looks for faces and prepares it.

        Raises:
            UnreadableMedia: see `bonafide.photo.image.read_image`.
            TooLarge: likewise.
        """
        picture = read_image(data, self._limits)
        faces = self._finder.find(picture)
        if faces and self._crop_margin is not None:
            judged = with_margin(faces[0].box(picture.size), self._crop_margin, picture.size)
            part = picture.crop(judged)
        else:
            judged, part = (0, 0, *picture.size), picture
        return Photo(prepare(part, geometry), faces, reason_against(picture, faces, judged, geometry, self._quality))


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

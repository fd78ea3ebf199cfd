"""From the bytes of a photo to what the model is given, with the faces in it and the reason not to rely on its verdict.

bytes -> RGB, upright -> faces -> the whole picture, or the largest face -> resized and cropped for the model
"""

from typing import Self

from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.image import ImageLimits
from bonafide.photo.preparation import Photo, prepared_for_all
from bonafide.photo.quality import QualityLimits
from bonafide.photo.reduced import ReducedPhoto
from bonafide.settings import Settings
from models.info import ImageGeometry


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
        """A reader built from the settings."""
        return cls(
            limits=ImageLimits.from_settings(settings),
            quality=QualityLimits.from_settings(settings),
            crop_margin=settings.face_crop_margin if settings.face_crop else None,
            finder=FaceDetector.of_process(),
        )

    @property
    def identity(self) -> str:
        """Identifies what its results depend on besides the photo and the model."""
        return f"crop {self._crop_margin}, {self._quality}"

    def read(self, data: bytes, *geometries: ImageGeometry) -> Photo:
        """Decodes a photo, looks for faces and prepares it, for an ensemble in several ways.

        Raises:
            UnreadableMedia: see `bonafide.photo.image.read_image`.
            TooLarge: likewise.
        """
        picture = ReducedPhoto(data, self._limits, geometries, self._crop_margin, self._quality.min_pixels)
        faces = self._finder.find(picture.image)
        picture.enlarge_for(faces)
        return prepared_for_all(picture.image, faces, geometries, self._quality, self._crop_margin)

"""From the bytes of a photo to what the model is given, with the faces in it and the reason not to rely on its verdict.

bytes -> RGB, upright -> faces -> the whole picture, or the largest face -> resized and cropped for the model
"""

from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.preparation import Photo, prepared_for_all
from bonafide.photo.reduced import ReducedPhoto
from bonafide.photo.rules import PhotoRules
from models.info import ImageGeometry


class PhotoReader:
    """Reads photos; may be used by several threads at a time.

    Args:
        rules: by which they are read.
        finder: finds the faces; None: the one of this process.
    """

    def __init__(self, rules: PhotoRules, finder: FaceDetector | None = None) -> None:
        self._rules = rules
        self._finder = finder or FaceDetector.of_process()

    @property
    def identity(self) -> str:
        """Identifies what its results depend on besides the photo and the model."""
        return f"crop {self._rules.crop_margin}, {self._rules.quality}"

    def read(self, data: bytes, *geometries: ImageGeometry) -> Photo:
        """Decodes a photo, looks for faces and prepares it, for an ensemble in several ways.

        Raises:
            UnreadableMedia: see `bonafide.photo.image.read_image`.
            TooLarge: likewise.
        """
        rules = self._rules
        picture = ReducedPhoto(data, rules, geometries)
        faces = self._finder.find(picture.image)
        picture.enlarge_for(faces)
        return prepared_for_all(picture.image, faces, geometries, rules.quality, rules.crop_margin)

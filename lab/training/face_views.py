"""What the model, and each network of the published pair, sees of a face: the same face, cut differently wide."""

from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bonafide.photo.faces import Box
from bonafide.photo.preparation import around_face

NEAR_FACTOR: Final = 2.7
FACE_FACTOR: Final = 4.0
"""Of the face's box: what the first and what the second of the pair is given; the second also what the model is."""
SIDE: Final = 128
"""Pixels of the edges that the model is given: no fewer in the face than the pair has."""
PAIR_SIDE: Final = 80
"""Pixels of the edges that each of the pair is given."""


class Views(NamedTuple):
    """Of n faces.

    Attributes:
        wide: what the model is given, float32 (n, 3, `SIDE`, `SIDE`), RGB, 0..1.
        near: left, top, right, bottom of the nearer crop in it, in pixels, float32 (n, 4).
    """

    wide: Tensor
    near: Tensor


def as_cut(pictures: NDArray[np.uint8], boxes: NDArray[np.int16]) -> Views:
    """Of pictures that are cut for the model already.

    Args:
        pictures: uint8 (n, `SIDE`, `SIDE`, 3), RGB.
        boxes: of the face in each, (n, 4).
    """
    near = [around_face(_box(box), NEAR_FACTOR, (SIDE, SIDE)) for box in boxes]
    return Views(as_planes(pictures), torch.tensor(near, dtype=torch.float32))


def moved(pictures: NDArray[np.uint8], boxes: NDArray[np.int16], rng: np.random.Generator) -> Views:
    """Of pictures with room around the face, which is found a little larger, smaller or aside, half of them mirrored.

    Args:
        pictures: uint8 (n, side, side, 3), RGB.
        boxes: of the face in each, (n, 4).
        rng: draws how.
    """
    side = pictures.shape[1]
    faces = [_elsewhere(box, side, rng) for box in boxes]
    wide, near = (
        torch.tensor([around_face(face, factor, (side, side)) for face in faces], dtype=torch.float32)
        for factor in (FACE_FACTOR, NEAR_FACTOR)
    )
    start, edges = wide[:, :2].repeat(1, 2), (wide[:, 2:] - wide[:, :2]).repeat(1, 2)
    views, within = cut(as_planes(pictures), wide, SIDE), (near - start) / edges * SIDE
    mirrored = torch.from_numpy(rng.random(len(pictures)) < 0.5)
    views[mirrored] = views[mirrored].flip(3)
    within[mirrored] = torch.stack([SIDE - within[:, 2], within[:, 1], SIDE - within[:, 0], within[:, 3]], 1)[mirrored]
    return Views(views, within)


def for_pair(views: Views) -> tuple[Tensor, Tensor]:
    """What both of the pair are given of the same pixels, nearer and wider, float32 (n, 3, 80, 80), RGB, 0..1."""
    wide = functional.interpolate(views.wide, size=(PAIR_SIDE, PAIR_SIDE), mode="bilinear", align_corners=False)
    return cut(views.wide, views.near, PAIR_SIDE), wide


def cut(planes: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Boxes of square planes, resized by reading the four pixels around each place.

    Args:
        planes: float32 (n, channels, edge, edge).
        boxes: left, top, right, bottom of each, in pixels, float32 (n, 4).
        side: pixels of the edges afterwards.
    """
    start, stop = (2 * each / planes.shape[2] - 1 for each in (boxes[:, :2], boxes[:, 2:]))
    maps = torch.cat([torch.diag_embed((stop - start) / 2), ((start + stop) / 2)[:, :, None]], 2)
    grid = functional.affine_grid(maps, [len(planes), planes.shape[1], side, side], align_corners=False)
    return functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _elsewhere(box: NDArray[np.int16], side: int, rng: np.random.Generator) -> Box:
    """The box as it would be found in another photo; inside the picture, at least two pixels wide."""
    start, stop = box[:2].astype(float), box[2:].astype(float)
    edges = (stop - start) * np.exp(rng.uniform(np.log(0.75), np.log(1.25)))
    middle = (start + stop) / 2 + rng.normal(0, 0.05, 2) * edges
    start = np.clip(np.round(middle - edges / 2), 0, side - 2)
    stop = np.clip(np.round(middle + edges / 2), start + 2, side)
    return _box(np.concatenate([start, stop]))


def _box(numbers: NDArray[np.int16] | NDArray[np.float64]) -> Box:
    left, top, right, bottom = (int(number) for number in numbers)
    return left, top, right, bottom


def as_planes(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, height, width, 3) -> float32 (n, 3, height, width), 0..1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).to(torch.float32) / 255

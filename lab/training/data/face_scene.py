"""Scene before the camera: frame geometry, sampling of pictures, backgrounds, blending.

In: pictures as float32 (height, width, 3) in 0..1. Out: light per camera pixel. The same geometry is drawn
for live faces and for attacks.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from lab.training.data.face_camera import Plane, to_linear

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """Mapping of each camera pixel onto a picture in the scene.

    Attributes:
        u: float32 (height, width), across the picture; 0 and 1 are its edges.
        v: float32 (height, width), down the picture; 0 and 1 are its edges.
        step: Picture widths per camera pixel, about.
        covers: Whether the picture fills the frame, so that its edges are not seen.
    """

    u: Plane
    v: Plane
    step: float
    covers: bool

    @property
    def inside(self) -> Plane:
        """float32 (height, width): 1 on the picture, 0 beside it, soft over about one pixel."""
        edge = np.minimum(np.minimum(self.u, 1 - self.u), np.minimum(self.v, 1 - self.v))
        return np.clip(edge / self.step + 0.5, 0, 1)


def draw_view(rng: np.random.Generator, covers: bool) -> View:
    """Draws a frame of 224 to 352 pixels (short edge) and a picture seen in it under a perspective."""
    short = int(rng.integers(224, 353))
    long = int(short * rng.choice([1.0, 1.25, 4 / 3]))
    height, width = (short, long) if rng.random() < 0.25 else (long, short)
    size = min(width, height) * (rng.uniform(1.0, 1.3) if covers else rng.uniform(0.6, 0.92))
    if covers:
        size *= max(width, height) / min(width, height) * 1.18
    turn = rng.normal(0, 0.06)
    tilts = rng.uniform(-0.07, 0.07, (4, 2))
    middle = np.array([width, height]) / 2 + rng.uniform(-0.05, 0.05, 2) * short
    return view_of((width, height), size, middle, turn, tilts, covers)


def view_of(
    frame: tuple[int, int],
    size: float,
    middle: NDArray[np.float64],
    turn: float,
    tilts: NDArray[np.float64],
    covers: bool,
) -> View:
    """The view of a picture that lies in a frame.

    Args:
        frame: Width and height, pixels.
        size: Side of the picture in the frame, pixels, about.
        middle: (2,), where its middle lies, x and y, pixels.
        turn: Its angle, radians.
        tilts: (4, 2), by how much each corner is moved, in halves of its side.
        covers: See `View`.
    """
    width, height = frame
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    target = (turned + tilts) * size / 2 + middle
    matrix = _homography(target, (corners + 1) / 2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    below = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    u = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / below
    v = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / below
    return View(u.astype(np.float32), v.astype(np.float32), 1 / size, covers)


def look(picture: Plane, u: Plane, v: Plane, step: float) -> Plane:
    """Samples a picture at (u, v) with bilinear interpolation; beyond its edges they are mirrored.

    Args:
        picture: float32 (h, w, 3) in 0..1.
        u: float32 (height, width), 0..1 across.
        v: float32 (height, width), 0..1 down.
        step: Picture widths per sample; a finer picture is shrunk first, so sampling does not alias.

    Returns:
        float32 (height, width, 3) in 0..1.
    """
    wanted = max(8, round(1 / step))
    if picture.shape[1] > 1.3 * wanted:
        ratio = wanted / picture.shape[1]
        picture = resize(picture, wanted, max(8, round(picture.shape[0] * ratio)))
    grid = torch.from_numpy(np.stack([u * 2 - 1, v * 2 - 1], axis=2)[None])
    tensor = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    sampled = functional.grid_sample(tensor, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return np.ascontiguousarray(sampled[0].permute(1, 2, 0).clamp_(0, 1).numpy())


def resize(picture: Plane, width: int, height: int) -> Plane:
    """Resizes with an antialiased bicubic filter; float32 (h, w, 3) in 0..1 in and out."""
    image = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(np.asarray(resized, np.float32) / 255, np.float32)


def compose(portrait: Plane, background: Plane, rng: np.random.Generator) -> Plane:
    """Blends a portrait softly into another background: the person appears elsewhere, without a visible edge.

    Returns:
        float32 (360, 360, 3) in 0..1, sRGB.
    """
    size = 360
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    zoom = float(np.float32(rng.uniform(0.7, 1.0)))
    shift = rng.uniform(-0.06, 0.06, 2).astype(np.float32)
    u, v = (x - 0.5 + shift[0]) / zoom + 0.5, (y - 0.5 + shift[1]) / zoom + 0.5
    behind = look(background, x, y, 1 / size)
    head = 1.0 - ((u - 0.5) / 0.40) ** 2 - ((v - 0.45) / 0.43) ** 2
    body = np.where(v > 0.6, 1.0 - ((u - 0.5) / 0.48) ** 2 - ((v - 1.0) / 0.45) ** 2, -1)
    alpha = np.clip(np.maximum(head, body) / np.float32(rng.uniform(0.08, 0.3)) + 0.3, 0, 1)
    alpha = np.where((u < 0) | (u > 1) | (v < 0) | (v > 1), 0, alpha)[:, :, None]
    return np.asarray(alpha * look(portrait, u, v, 1 / (size * zoom)) + (1 - alpha) * behind, np.float32)


def surroundings(background: Plane, view: View, rng: np.random.Generator) -> Plane:
    """Light of the room around the picture: a background somewhat out of focus, at another brightness."""
    height, width = view.u.shape
    coarse = int(rng.integers(60, 240))
    small = resize(background, coarse, max(8, round(coarse * height / width)))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    seen = look(small, (x + 0.5) / width, (y + 0.5) / height, 1 / width)
    return to_linear(seen) * np.float32(rng.uniform(0.4, 1.2))


def lighting(view: View, rng: np.random.Generator, strength: float) -> Plane:
    """A smooth gradient of light over the frame, float32 (height, width, 1), about 1."""
    height, width = view.u.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    direction = rng.uniform(0, 2 * np.pi)
    slope = np.float32(rng.uniform(0, strength))
    light = 1 + slope * (np.float32(np.cos(direction)) * x + np.float32(np.sin(direction)) * y)
    return np.asarray(light[:, :, None], np.float32)


def _homography(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 3x3 matrix that takes four source points onto four target points."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solved = np.linalg.solve(np.array(rows), np.array(values))
    return np.append(solved, 1).reshape(3, 3)

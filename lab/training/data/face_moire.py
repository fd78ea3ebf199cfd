"""What a sensor sees of a display's sub-pixels, in closed form: the harmonics of one lattice, aliased by the other.

A display is a lattice of sub-pixels, a sensor with a colour filter one of samples. Each harmonic of the first is
weakened by the lens and the area of a sample and appears at its distance from the nearest frequency at which the
samples of a colour repeat; what is still too fine for the file is averaged away. So moire appears for
pixels far smaller than those of the camera, at any angle, in colours.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.data.face_camera import Plane
from lab.training.data.face_scene import View

Spot = tuple[float, float, float, float]
"""Middle and size of a sub-pixel, in cells of the lattice: x, y, width, height."""
Layout = tuple[tuple[Spot, ...], ...]
"""Sub-pixels of red, green and blue in one cell of the lattice."""

LAYOUTS: Final[dict[str, Layout]] = {
    "rgb": (((1 / 6, 0.5, 0.25, 0.8),), ((0.5, 0.5, 0.25, 0.8),), ((5 / 6, 0.5, 0.25, 0.8),)),
    "bgr": (((5 / 6, 0.5, 0.25, 0.8),), ((0.5, 0.5, 0.25, 0.8),), ((1 / 6, 0.5, 0.25, 0.8),)),
    "wide": (((1 / 6, 0.5, 0.32, 0.92),), ((0.5, 0.5, 0.32, 0.92),), ((5 / 6, 0.5, 0.32, 0.92),)),
    "oled-stripes": (((0.25, 0.25, 0.4, 0.3),), ((0.25, 0.75, 0.4, 0.3),), ((0.75, 0.5, 0.3, 0.8),)),
    "turned": (((0.5, 1 / 6, 0.8, 0.25),), ((0.5, 0.5, 0.8, 0.25),), ((0.5, 5 / 6, 0.8, 0.25),)),
    "diamond": (
        ((0.75, 0.25, 0.32, 0.32),),
        ((0.25, 0.25, 0.22, 0.22), (0.75, 0.75, 0.22, 0.22)),
        ((0.25, 0.75, 0.36, 0.36),),
    ),
    "delta": (
        ((1 / 6, 0.25, 0.25, 0.4), (2 / 3, 0.75, 0.25, 0.4)),
        ((0.5, 0.25, 0.25, 0.4), (1.0, 0.75, 0.25, 0.4)),
        ((5 / 6, 0.25, 0.25, 0.4), (1 / 3, 0.75, 0.25, 0.4)),
    ),
}
"""Of real displays."""

_HARMONICS: Final = ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (2, 1), (2, -1), (3, 0), (0, 3))
_LEAST: Final = 0.004
_APART: Final = 0.28
"""Of the middles of two drawn sub-pixels, at least, in cells."""
_FILE_BLUR: Final = 0.35
"""Of a pixel of the file, in such pixels, as a standard deviation."""


@dataclass(frozen=True)
class Sensor:
    """How finely the camera samples.

    Attributes:
        per_pixel: its samples along an edge of one pixel of the file, 1 or more.
        lens: blur of the lens as a standard deviation, in samples.
        fill: edge of the area that collects light, in samples.
    """

    per_pixel: float
    lens: float
    fill: float


def drawn_layout(rng: np.random.Generator) -> Layout:
    """Draws one that need not exist: a model that saw many learns what all have in common, a lattice in colours.

    One or two sub-pixels of each colour lie apart from all others, also across the edges of the cell.
    """
    middles: list[tuple[float, float]] = []
    colours: list[tuple[Spot, ...]] = []
    for _ in range(3):
        spots: list[Spot] = []
        size = rng.uniform(0.15, 0.5, 2)
        for _ in range(int(rng.integers(1, 3))):
            x, y = _apart(middles, rng)
            middles.append((x, y))
            spots.append((x, y, float(size[0]), float(size[1])))
        colours.append(tuple(spots))
    return tuple(colours)


def moire(view: View, cells: float, layout: Layout, sensor: Sensor) -> Plane:
    """The factor by which the lattice changes the light, per pixel of the file.

    Args:
        view: where the display is seen.
        cells: of its lattice per sample of the sensor, about.
        layout: of its sub-pixels.
        sensor: that sees it.

    Returns:
        float32 (height, width, 3), about 1, not below 0.
    """
    across = np.float32(cells * sensor.per_pixel / view.step)
    a, b = view.u * across, view.v * across
    slopes = [np.gradient(plane) for plane in (a, b)]
    height, width = a.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = np.ones((height, width, 3), np.float32)
    for k, m in _HARMONICS:
        # Cycles per pixel of the file, down and across; the same per sample in the middle.
        down, right = (np.float32(k) * slopes[0][axis] + np.float32(m) * slopes[1][axis] for axis in (0, 1))
        middle = np.array([down[height // 2, width // 2], right[height // 2, width // 2]]) / sensor.per_pixel
        seen = np.exp(-2 * (np.pi * sensor.lens) ** 2 * (middle @ middle)) * np.prod(np.sinc(sensor.fill * middle))
        for colours in ((0, 2), (1,)):
            alias = _nearest(middle, green=colours == (1,)) * sensor.per_pixel
            coefficients = [2 * seen * _coefficient(layout[colour], k, m) for colour in colours]
            rest = np.array([middle * sensor.per_pixel - alias])
            if max(map(abs, coefficients)) * _kept(rest[:, 0], rest[:, 1])[0] < _LEAST:
                continue
            kept = _kept(down - np.float32(alias[0]), right - np.float32(alias[1]))
            turn = np.float32(2 * np.pi) * (
                np.float32(k) * a + np.float32(m) * b - np.float32(alias[0]) * y - np.float32(alias[1]) * x
            )
            for colour, coefficient in zip(colours, coefficients, strict=True):
                shift = np.float32(np.angle(coefficient))
                light[:, :, colour] += np.float32(abs(coefficient)) * kept * np.cos(turn + shift)
    return np.maximum(light, 0)


def _apart(others: list[tuple[float, float]], rng: np.random.Generator) -> tuple[float, float]:
    """A place in the cell that is `_APART` from all others; the furthest of twenty where there is none."""
    best, furthest = (0.0, 0.0), -1.0
    for _ in range(20):
        place = rng.random(2)
        away = [abs((place - other + 0.5) % 1 - 0.5) for other in others]
        nearest = min((float(np.hypot(*each)) for each in away), default=1.0)
        if nearest > furthest:
            best, furthest = (float(place[0]), float(place[1])), nearest
        if nearest >= _APART:
            break
    return best


def _coefficient(spots: tuple[Spot, ...], k: int, m: int) -> complex:
    """Of a harmonic of one colour's sub-pixels, relative to their mean."""
    area = sum(width * height for _, _, width, height in spots)
    total = 0j
    for x, y, width, height in spots:
        share = width * height / area * np.sinc(k * width) * np.sinc(m * height)
        total += complex(share * np.exp(-2j * np.pi * (k * x + m * y)))
    return total


def _nearest(frequency: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", green: bool) -> Plane:
    """The nearest frequency, per sample, that the samples of a colour cannot be told from standing still."""
    half = np.round(2 * frequency)
    if green and half.sum() % 2:  # every second sample of each row, in alternation
        off = 2 * frequency - half
        axis = int(np.argmax(abs(off)))
        half[axis] += 1 if off[axis] >= 0 else -1
    return np.asarray(half / 2, np.float32)


def _kept(down: Plane, right: Plane) -> Plane:
    """What the file's pixels keep of a wave, 0..1; nothing from their own limit on."""
    squared = down * down + right * right
    kept = np.exp(np.float32(-2 * (np.pi * _FILE_BLUR) ** 2) * squared)
    return np.asarray(kept * np.clip((np.float32(0.36) - squared) / np.float32(0.16), 0, 1), np.float32)

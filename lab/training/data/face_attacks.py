"""Simulated presentation attacks: a printed photo, a photo on a screen, a projected photo.

In: a picture and a view of it. Out: the light that leaves it towards the camera. Which papers and devices
may be drawn depends on the split, so that dev and test have parameters that are not in training.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from scipy import ndimage

from lab.training.data.face_camera import Plane, to_linear
from lab.training.data.face_scene import View, lighting, look, surroundings
from lab.training.data.manifest import Split

PRINT: Final = "print"
SCREEN: Final = "screen"
PROJECTION: Final = "projection"
UNSEEN: Final = frozenset({PROJECTION})
"""Attack kinds that are in the test split only."""

_BANDS: dict[Split, Sequence[int]] = {"train": (0, 1, 3, 5, 7, 8), "dev": (4,), "test": (2, 6)}
_KINDS: dict[str, dict[Split, Sequence[str]]] = {
    "dots": {"train": ("round", "line", "grain"), "dev": ("ellipse", "grain"), "test": ("square", "grain")},
    "paper": {"train": ("plain", "laid", "photo"), "dev": ("recycled",), "test": ("linen",)},
    "pixels": {"train": ("rgb", "bgr", "rgb-wide"), "dev": ("rgb-turned",), "test": ("pentile",)},
}


def banded(rng: np.random.Generator, low: float, high: float, split: Split) -> float:
    """Draws from those of nine (logarithmic) bands of low..high that belong to the split alone."""
    band = int(rng.choice(np.asarray(_BANDS[split])))
    return float(low * (high / low) ** ((band + rng.random()) / 9))


def printed(picture: Plane, background: Plane, view: View, split: Split, rng: np.random.Generator) -> Plane:
    """A printed photo: inks in a halftone, paper with texture, bend and white margin, under room light.

    Args:
        picture: float32 (h, w, 3) sRGB in 0..1, what was printed.
        background: float32 (h, w, 3) sRGB in 0..1, the room.
        view: Where the sheet lies in the frame.
        split: Whose papers and printers may be used.
        rng: Draws everything else.

    Returns:
        float32 (height, width, 3), linear light.
    """
    bend = np.float32(rng.uniform(0, 0.03))
    phase, waves = rng.uniform(0, 6.3), rng.uniform(0.3, 1.2)
    swing = 2 * np.pi * waves * view.u + phase
    u, v = view.u + bend * np.cos(swing), view.v + bend * np.sin(swing)
    margin = 0.0 if view.covers else rng.uniform(0, 0.06)
    share = 1 + 2 * margin
    content = look(picture, (u - 0.5) * share + 0.5, (v - 0.5) * share + 0.5, view.step * share)
    ink_there = ((u - 0.5) * share + 0.5 > 0) & ((u - 0.5) * share + 0.5 < 1)
    ink_there &= ((v - 0.5) * share + 0.5 > 0) & ((v - 0.5) * share + 0.5 < 1)
    coverage = 1 - to_linear(content) ** np.float32(1 / rng.uniform(1.0, 1.7))
    coverage *= ink_there[:, :, None]
    reflected = _inks(coverage, u, v, view.step, split, rng)
    reflected *= (
        np.array([1, rng.uniform(0.96, 1), rng.uniform(0.88, 1)], np.float32)
        * _texture(u, v, view.step, str(rng.choice(_KINDS["paper"][split])), banded(rng, 0.015, 0.08, split), rng)[
            :, :, None
        ]
    )
    shade = 1 + bend * np.float32(rng.uniform(2, 8)) * np.sin(swing)[:, :, None]
    light = reflected * shade * lighting(view, rng, 0.35)
    if rng.random() < 0.3:
        light = light + _glare(view, rng, 0.35)
    return _on_background(light, background, view, rng)


def on_screen(picture: Plane, background: Plane, view: View, split: Split, rng: np.random.Generator) -> Plane:
    """A photo on a display: its sub-pixel grid as the sensor samples it, gamma, tint, glare, bezel.

    Arguments and result are those of `printed`.
    """
    content = to_linear(look(picture, view.u, view.v, view.step))
    content = content ** np.float32(banded(rng, 0.75, 1.35, split))
    cycles = banded(rng, 0.22, 1.05, split)
    light = content * _pixels(view, cycles, str(rng.choice(_KINDS["pixels"][split])), rng)
    light *= np.array([rng.uniform(0.82, 1.02), 1, rng.uniform(0.98, 1.22)], np.float32)
    if rng.random() < 0.35:
        rows = np.arange(light.shape[0], dtype=np.float32)[:, None, None]
        light *= 1 - np.float32(rng.uniform(0.03, 0.15)) * (
            0.5 + 0.5 * np.sin(rows * np.float32(rng.uniform(0.01, 0.12)) + np.float32(rng.uniform(0, 6.3)))
        )
    light = light * lighting(view, rng, 0.2) + np.float32(rng.uniform(0.003, 0.04))
    if rng.random() < 0.6:
        light = light + _glare(view, rng, 0.5)
    if rng.random() < 0.5:
        light = light + surroundings(background, view, rng)[:, ::-1] * np.float32(rng.uniform(0.01, 0.08))
    light = light.astype(np.float32)
    bezel = np.float32(rng.choice([0.01, 0.02, 0.6]))
    rim = 0.0 if view.covers else rng.uniform(0.01, 0.06)
    wide = View((view.u - 0.5) / (1 + 2 * rim) + 0.5, (view.v - 0.5) / (1 + 2 * rim) + 0.5, view.step, False)
    inside = view.inside[:, :, None]
    device = light * inside + bezel * (1 - inside)
    return device if view.covers else _on_background(device, background, wide, rng)


def projected(picture: Plane, background: Plane, view: View, split: Split, rng: np.random.Generator) -> Plane:
    """A photo thrown onto a wall by a projector: pixel lattice, hot spot, lifted blacks, rough wall.

    Arguments and result are those of `printed`.
    """
    content = to_linear(look(picture, view.u, view.v, view.step))
    cycles = banded(rng, 0.15, 0.7, split)
    scale = np.float32(cycles / view.step)
    depth = np.float32(rng.uniform(0.08, 0.25) * np.exp(-4 * cycles * cycles))
    lattice = 1 + depth * (np.cos(2 * np.pi * scale * view.u) + np.cos(2 * np.pi * scale * view.v))
    spot = np.exp(-((view.u - 0.5) ** 2 + (view.v - 0.5) ** 2) * np.float32(rng.uniform(0.5, 1.8)))
    beam = content * (lattice * spot)[:, :, None] * view.inside[:, :, None]
    ambient = np.float32(rng.uniform(0.05, 0.2))
    wall = _texture(view.u, view.v, view.step, "plaster", rng.uniform(0.03, 0.12), rng)[:, :, None]
    tint = np.array([rng.uniform(0.92, 1.05), 1, rng.uniform(0.9, 1.05)], np.float32)
    return np.asarray((beam + ambient * lighting(view, rng, 0.3)) * wall * tint, np.float32)


Attack = Callable[[Plane, Plane, View, Split, np.random.Generator], Plane]
ATTACKS: dict[str, Attack] = {PRINT: printed, SCREEN: on_screen, PROJECTION: projected}


def _inks(coverage: Plane, u: Plane, v: Plane, step: float, split: Split, rng: np.random.Generator) -> Plane:
    """Cyan, magenta, yellow and black laid down as dots, lines or grain; returns reflectance."""
    period = banded(rng, 1.5, 6.5, split)
    kind = str(rng.choice(_KINDS["dots"][split]))
    black = coverage.min(axis=2) * np.float32(rng.uniform(0.3, 0.8))
    planes = [*(np.moveaxis(coverage, 2, 0) - black), black]
    base = np.deg2rad(banded(rng, 1, 90, split))
    colours = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float32)
    strength = np.float32(rng.uniform(0.8, 0.97))
    # What is left of a pattern of this period after the lens and the pixel's own area.
    visible = np.float32(abs(np.sinc(0.8 / period)) * np.exp(-2 * (np.pi * 0.4 / period) ** 2))
    reflected = np.ones((*u.shape, 3), np.float32)
    for plane, offset, colour in zip(planes, np.deg2rad([15, 75, 0, 45]), colours, strict=True):
        threshold = _threshold(u / step, v / step, period, base + offset, kind, rng)
        hard = 1 / (1 + np.exp(np.clip((threshold - plane) * np.float32(4 * period), -30, 30)))
        laid = np.clip(plane + visible * (hard - plane), 0, 1)
        reflected *= 1 - strength * laid[:, :, None] * colour
    return reflected


def _threshold(x: Plane, y: Plane, period: float, angle: float, kind: str, rng: np.random.Generator) -> Plane:
    """The halftone threshold that an ink must exceed, 0..1; x and y in camera pixels."""
    if kind == "grain":
        noise: Plane = rng.random((256, 256), dtype=np.float32)
        grain = np.float32(max(1.0, period / 4))
        noise = 0.5 + (noise - 0.5) * np.float32(rng.uniform(0.4, 0.9))
        rows, columns = (y / grain).astype(np.int32) & 255, (x / grain).astype(np.int32) & 255
        return np.asarray(noise[rows, columns], np.float32)
    pulse = np.float32(2 * np.pi / period)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    a, b = (x * cosine + y * sine) * pulse, (y * cosine - x * sine) * pulse
    if kind == "line":
        return np.asarray(0.5 + 0.5 * np.cos(a), np.float32)
    if kind == "ellipse":
        return np.asarray(0.5 + 0.32 * np.cos(a) + 0.18 * np.cos(b), np.float32)
    if kind == "square":
        return np.asarray(0.5 + 0.5 * np.cos(a) * np.cos(b), np.float32)
    return np.asarray(0.5 + 0.25 * (np.cos(a) + np.cos(b)), np.float32)


def _texture(u: Plane, v: Plane, step: float, kind: str, depth: float, rng: np.random.Generator) -> Plane:
    """Brightness of a rough surface, about 1; `depth` is its standard deviation."""
    x, y = u / np.float32(step), v / np.float32(step)
    if kind in ("laid", "linen"):
        pulse = np.float32(2 * np.pi / rng.uniform(3, 9))
        lines = np.cos(x * pulse)
        return np.asarray(1 + np.float32(depth) * (lines if kind == "laid" else lines * np.cos(y * pulse)), np.float32)
    shape = {"plain": (0.8, 0.8), "photo": (2.5, 2.5), "recycled": (0.6, 2.2), "plaster": (1.6, 1.6)}[kind]
    tile = ndimage.gaussian_filter(rng.standard_normal((256, 256), dtype=np.float32), shape, mode="wrap")
    if kind == "recycled":
        tile = tile - 2.5 * tile.std() * (tile > 2.2 * tile.std())
    tile *= np.float32(depth / tile.std() * (0.4 if kind == "photo" else 1.0))
    columns, rows = np.mod(x, 255).astype(np.float32), np.mod(y, 255).astype(np.float32)
    return np.asarray(1 + ndimage.map_coordinates(tile, [rows, columns], order=1, mode="wrap"), np.float32)


def _pixels(view: View, cycles: float, layout: str, rng: np.random.Generator) -> Plane:
    """The sub-pixel pattern as pixel-wide, point-sampled averages: frequencies above half alias to moire."""
    duty = {"rgb-wide": 0.31}.get(layout, 0.24)
    lens = float(rng.uniform(0.25, 0.45))
    scale = np.float32(cycles / view.step)
    across, down = view.u * scale, view.v * scale
    if layout == "rgb-turned":
        across, down = down, across
    order = (2, 1, 0) if layout == "bgr" else (0, 1, 2)
    planes = []
    for place in order:
        if layout == "pentile":
            # Green at every pixel; red and blue share a coarser diamond lattice.
            if place == 1:
                planes.append(_wave(across, cycles, 0.4, lens, 0.25) * _wave(down, cycles, 0.6, lens, 0.0))
            else:
                shift = 0.0 if place == 0 else 0.5
                one = _wave(np.float32(0.5) * (across + down), cycles * 0.71, 0.45, lens, shift)
                planes.append(one * _wave(np.float32(0.5) * (across - down), cycles * 0.71, 0.45, lens, shift))
            continue
        planes.append(_wave(across, cycles, duty, lens, place / 3) * _wave(down, cycles, 0.82, lens, 0.0))
    return np.stack(planes, axis=2)


def _wave(position: Plane, cycles: float, duty: float, lens: float, shift: float) -> Plane:
    """A train of bars, mean 1, each harmonic weakened by the lens and by the area of a camera pixel."""
    total = np.ones_like(position)
    for order in (1, 2, 3):
        frequency = order * cycles
        left = 2 * np.sinc(order * duty) * np.sinc(0.85 * frequency) * np.exp(-2 * (np.pi * lens * frequency) ** 2)
        if abs(left) > 0.004:
            total += np.float32(left) * np.cos(np.float32(2 * np.pi * order) * (position - np.float32(shift)))
    return np.maximum(total, 0)


def _glare(view: View, rng: np.random.Generator, strength: float) -> Plane:
    """A lamp or window mirrored in the surface."""
    x, y = rng.uniform(-0.1, 1.1, 2).astype(np.float32)
    width, height = rng.uniform(0.05, 0.3, 2).astype(np.float32)
    power = 2 if rng.random() < 0.6 else 6
    spot = np.exp(-(np.abs((view.u - x) / width) ** power) - np.abs((view.v - y) / height) ** power)
    tint = np.array([rng.uniform(0.85, 1), 1, rng.uniform(0.85, 1)], np.float32)
    return np.asarray(spot[:, :, None] * np.float32(rng.uniform(0.05, strength)) * tint, np.float32)


def _on_background(light: Plane, background: Plane, view: View, rng: np.random.Generator) -> Plane:
    if view.covers:
        return np.asarray(light, np.float32)
    inside = view.inside[:, :, None]
    return np.asarray(light * inside + surroundings(background, view, rng) * (1 - inside), np.float32)

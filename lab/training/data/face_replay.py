"""A photo or clip replayed on a display that a hand holds before the camera: the second simulator's screen.

In: a picture and a view of it. Out: the light that leaves the display towards the camera. `face_moire` has its
sub-pixels; here are what is shown, how the panel is refreshed while the shutter rolls, glass, and rim.
"""

import io
from typing import Final

import numpy as np
from PIL import Image
from scipy import ndimage

from lab.training.data.face_attacks import banded
from lab.training.data.face_camera import Plane, to_linear
from lab.training.data.face_moire import LAYOUTS, Layout, Sensor, drawn_layout, moire
from lab.training.data.face_scene import View, lighting, look, resize, surroundings
from lab.training.data.face_video import as_video
from lab.training.data.manifest import Split

PANELS: Final[dict[Split, tuple[str, ...]]] = {
    "train": ("rgb", "bgr", "wide", "oled-stripes"),
    "dev": ("turned",),
    "test": ("diamond", "delta"),
}
"""Layouts of `face_moire` that a split may use."""
_DRAWN: Final = 0.6
"""Share of the training split's displays whose layout is drawn."""


def replayed(
    picture: Plane, background: Plane, view: View, sensor: Sensor, split: Split, rng: np.random.Generator
) -> Plane:
    """A display with a photo or a frame of a clip on it, as light at the camera.

    Args:
        picture: float32 (h, w, 3) sRGB in 0..1, what is shown.
        background: float32 (h, w, 3) sRGB in 0..1, the room, behind the display and mirrored in it.
        view: where the display lies in the frame.
        sensor: of the camera.
        split: whose panels may be used.
        rng: draws everything else.

    Returns:
        float32 (height, width, 3), linear light.
    """
    shown = _file(picture, rng)
    content = to_linear(_margins(look(shown, view.u, view.v, view.step), view, rng))
    if rng.random() < 0.15:  # the next frame is half way down the panel, or the last one has not faded
        content = _two_frames(content, view, rng)
    content = content ** np.float32(rng.uniform(0.8, 1.35))
    light = content * moire(view, banded(rng, 0.12, 2.4, split), _panel(split, rng), sensor)
    light *= np.array([rng.uniform(0.78, 1.05), 1, rng.uniform(0.95, 1.3)], np.float32)
    light = light * _refresh(view, split, rng) * lighting(view, rng, 0.3)  # a panel is darker seen from aside
    light = light + np.float32(np.exp(rng.uniform(np.log(0.001), np.log(0.05))))  # blacks are not black
    light = light + _glass(background, view, split, rng)
    if view.covers:
        return np.asarray(light, np.float32)
    return _in_room(light, background, view, rng)


def _panel(split: Split, rng: np.random.Generator) -> Layout:
    if split == "train" and rng.random() < _DRAWN:
        return drawn_layout(rng)
    return LAYOUTS[str(rng.choice(PANELS[split]))]


def _file(picture: Plane, rng: np.random.Generator) -> Plane:
    """The picture as the file that is replayed: a clip, a JPEG of some size, or as it is."""
    drawn = rng.random()
    if drawn < 0.35:
        return as_video(_shrunk(picture, int(rng.integers(120, 420)), rng), rng)
    if drawn < 0.75:
        small = _shrunk(picture, int(rng.integers(120, 700)), rng)
        buffer = io.BytesIO()
        Image.fromarray(np.round(small * 255).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(35, 96)))
        with Image.open(buffer) as image:
            return np.asarray(np.asarray(image.convert("RGB"), np.float32) / 255, np.float32)
    return picture


def _shrunk(picture: Plane, side: int, rng: np.random.Generator) -> Plane:
    ratio = side / min(picture.shape[:2])
    if ratio < 1:
        picture = resize(picture, round(picture.shape[1] * ratio), round(picture.shape[0] * ratio))
    if rng.random() < 0.3:  # many who replay sharpen or smooth by an app
        soft = ndimage.gaussian_filter(picture, (1.0, 1.0, 0))
        picture = picture + np.float32(rng.uniform(-0.5, 0.8)) * (picture - soft)
    return np.clip(picture, 0, 1)


def _margins(content: Plane, view: View, rng: np.random.Generator) -> Plane:
    """Black or white bars beside the picture, where the display's rim is in the frame anyway."""
    if view.covers or rng.random() < 0.5:
        return content
    along = view.u if rng.random() < 0.5 else view.v
    bar = rng.uniform(0.02, 0.15)
    beside = ((along < bar) | (along > 1 - bar))[:, :, None]
    return np.where(beside, np.float32(rng.choice([0.0, 0.05, 0.95])), content)


def _two_frames(content: Plane, view: View, rng: np.random.Generator) -> Plane:
    step = tuple(int(part) for part in rng.integers(-4, 5, 2))
    other = np.roll(content, step, axis=(0, 1))
    if rng.random() < 0.5:
        return np.where((view.v > rng.uniform(0.1, 0.9))[:, :, None], other, content)
    share = np.float32(rng.uniform(0.2, 0.5))
    return content * (1 - share) + other * share


def _refresh(view: View, split: Split, rng: np.random.Generator) -> Plane:
    """Bands of a dimmed backlight under a rolling shutter, and the dark bar of a panel that is just rewritten."""
    height, width = view.u.shape
    light = np.ones((height, width, 1), np.float32)
    upright = rng.random() < 0.7
    count, axis = (height, 0) if upright else (width, 1)
    row = np.arange(count, dtype=np.float32) / count
    if rng.random() < 0.5:
        depth = np.exp(rng.uniform(np.log(0.02), np.log(0.5)))
        wave = np.sin(2 * np.pi * (banded(rng, 0.4, 40, split) * row + rng.random()))
        sharp = rng.uniform(0, 4)  # from a sine to the flanks of pulses
        wave = np.tanh(sharp * wave) / np.tanh(sharp) if sharp > 0.1 else wave
        bands = (1 - depth * (0.5 + 0.5 * wave)).astype(np.float32)
        light = light * (bands[:, None, None] if axis == 0 else bands[None, :, None])
    if rng.random() < 0.3:
        along = view.v if rng.random() < 0.7 else view.u
        place, thick, repeats = rng.random(), rng.uniform(0.03, 0.25), int(rng.integers(1, 4))
        away = np.abs(np.mod(along * repeats - np.float32(place) + 0.5, 1) - 0.5)
        edge = rng.uniform(0.005, 0.08)
        bar = 1 / (1 + np.exp(np.clip((away - np.float32(thick / 2)) / np.float32(edge), -30, 30)))
        light = light * (1 - np.float32(rng.uniform(0.05, 0.6)) * bar)[:, :, None]
    return np.asarray(light, np.float32)


def _glass(background: Plane, view: View, split: Split, rng: np.random.Generator) -> Plane:
    """What the glass mirrors: the room, a window or lamp with edges, the hand's shadow in it."""
    height, width = view.u.shape
    light = np.zeros((height, width, 3), np.float32)
    if rng.random() < 0.6:
        room = surroundings(background, view, rng)[:, ::-1]
        light += room * np.float32(banded(rng, 0.005, 0.15, split))
    if rng.random() < 0.45:
        angle, soft = rng.uniform(0, np.pi), np.float32(np.exp(rng.uniform(np.log(0.004), np.log(0.08))))
        x, y = rng.uniform(-0.1, 1.1, 2).astype(np.float32)
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        right, down = (view.u - x) * cosine + (view.v - y) * sine, (view.v - y) * cosine - (view.u - x) * sine
        wide, high = rng.uniform(0.03, 0.35, 2).astype(np.float32)
        edge = np.minimum(wide - np.abs(right), high - np.abs(down))
        pane = 1 / (1 + np.exp(np.clip(-edge / soft, -30, 30)))
        if rng.random() < 0.5:  # the bars of a window
            pane = pane * (np.abs(right) > wide * 0.06)
        tint = np.array([rng.uniform(0.75, 1), rng.uniform(0.9, 1), rng.uniform(0.75, 1)], np.float32)
        light += pane[:, :, None] * np.float32(np.exp(rng.uniform(np.log(0.03), np.log(0.8)))) * tint
    if rng.random() < 0.35:  # the dark outline of whoever holds the camera
        away = ((view.u - np.float32(rng.random())) / 0.25) ** 2 + ((view.v - np.float32(rng.random())) / 0.4) ** 2
        light *= (1 - 0.8 / (1 + np.exp(np.clip((away - 1) * 6, -30, 30))))[:, :, None]
    return light


def _in_room(light: Plane, background: Plane, view: View, rng: np.random.Generator) -> Plane:
    """The display with its rim before the room."""
    rim = np.float32(rng.uniform(0.0, 0.09))
    wide = View((view.u - 0.5) / (1 + 2 * rim) + 0.5, (view.v - 0.5) / (1 + 2 * rim) + 0.5, view.step, covers=False)
    inside, device = view.inside[:, :, None], wide.inside[:, :, None]
    colour = np.float32(np.exp(rng.uniform(np.log(0.004), np.log(0.6))))
    front = light * inside + colour * (1 - inside)
    return np.asarray(front * device + surroundings(background, view, rng) * (1 - device), np.float32)

"""The second simulator: one photo by a hand-held phone or webcam, of the whole scene or cut out around the face.

It shares pictures and room with the first and little else: cameras with their own processing, displays whose
sub-pixels may be finer than the camera's (`face_replay`), and crops. Live faces and attacks are framed
and photographed alike.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image
from scipy import ndimage

from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.faces import Face
from lab.training.data.face_attacks import PRINT, SCREEN, printed
from lab.training.data.face_camera import Plane, to_linear, to_srgb
from lab.training.data.face_moire import Sensor
from lab.training.data.face_photo import LIVE
from lab.training.data.face_replay import replayed
from lab.training.data.face_scene import View, compose, lighting, look, view_of
from lab.training.data.face_video import as_video
from lab.training.data.manifest import Split

KINDS: Final = (PRINT, SCREEN)
MOST_ENLARGED: Final = 2.2
"""Pixels of a frame per pixel of the picture: many portraits are small, and a live face must not be a blur."""


@dataclass(frozen=True)
class Camera:
    """A camera and what it does to a picture.

    Attributes:
        sensor: how finely it samples.
        noise: deviation at middle grey, of linear light.
        smoothed: how much detail weaker than the noise is taken away, 0..1.
        sharpened: amount of the unsharp mask.
        quality: of its JPEG.
        webcam: of 640 x 480, or less and enlarged.
    """

    sensor: Sensor
    noise: float
    smoothed: float
    sharpened: float
    quality: int
    webcam: bool


def take(portrait: Plane, background: Plane, kind: str, split: Split, rng: np.random.Generator) -> bytes:
    """Takes one photo; see `face_photo.take`.

    Returns:
        A JPEG file, short edge 200 to 480 pixels.

    Raises:
        ValueError: There is no such attack here.
    """
    if kind not in (LIVE, *KINDS):
        raise ValueError(f"no attack {kind!r} in this simulator")
    picture = compose(portrait, background, rng) if rng.random() < 0.5 else portrait
    camera = draw_camera(rng)
    covers = kind == LIVE or bool(rng.random() < 0.65)
    face = _face(picture) if rng.random() < 0.55 else None
    most = MOST_ENLARGED * min(portrait.shape[:2])
    view = draw_crop(rng, face, covers, most) if face else draw_frame(rng, covers, most, webcam=camera.webcam)
    if kind == LIVE:
        light = to_linear(look(picture, view.u, view.v, view.step)) * lighting(view, rng, 0.5)
    elif kind == PRINT:
        light = printed(picture, background, view, split, rng)
    else:
        light = replayed(picture, background, view, camera.sensor, split, rng)
    return photograph(light, camera, rng)


def draw_camera(rng: np.random.Generator) -> Camera:
    """Draws a phone's or a webcam."""
    webcam = bool(rng.random() < 0.3)
    per_pixel = 1.0 if webcam or rng.random() < 0.25 else float(rng.uniform(1.2, 5))
    sensor = Sensor(per_pixel, lens=float(rng.uniform(0.15, 0.55)), fill=float(rng.uniform(0.75, 1.0)))
    noise = float(np.exp(rng.uniform(np.log(0.004), np.log(0.05 if webcam else 0.03)))) / np.sqrt(per_pixel)
    return Camera(
        sensor,
        noise,
        smoothed=float(rng.uniform(0, 1)),
        sharpened=float(rng.uniform(-0.3, 1.6)),
        quality=int(rng.integers(40, 85) if webcam else rng.integers(60, 97)),
        webcam=webcam,
    )


def draw_frame(rng: np.random.Generator, covers: bool, most: float, *, webcam: bool) -> View:
    """A whole frame with the picture in it.

    Args:
        rng: draws it.
        covers: whether the picture fills the frame.
        most: pixels of the picture's width in the frame, at most, where that leaves a short edge of 224.
        webcam: whether it is of four to three, lying.
    """
    shape = 4 / 3 if webcam else float(rng.choice([1.0, 4 / 3, 16 / 9]))
    size = rng.uniform(1.0, 1.4) * shape * 1.18 if covers else rng.uniform(0.55, 0.92)
    short = float(np.clip(rng.uniform(240, 481), 224, max(224, most / size)))
    width, height = (short * shape, short) if webcam or rng.random() < 0.25 else (short, short * shape)
    middle = rng.uniform(-0.06, 0.06, 2) * short
    return _view(rng, round(width), round(height), size * short, (middle[0], middle[1]), covers)


def draw_crop(rng: np.random.Generator, face: Face, covers: bool, most: float) -> View:
    """A square around the face's box times 1.2 to 4, of 200 to 420 pixels.

    Args:
        rng: draws it.
        face: in shares of the picture.
        covers: whether the picture fills the square; where the square would leave it, it is smaller and moved.
        most: pixels of the picture's width, at most, where that leaves a side of 200.
    """
    share = max(face.width, face.height) * float(np.exp(rng.uniform(np.log(1.2), np.log(4.0))))
    middle = np.array([face.left + face.width / 2, face.top + face.height / 2])
    if covers:
        share = min(share, 0.9)
        middle = np.clip(middle, share / 2, 1 - share / 2)
    side = round(float(np.clip(rng.uniform(224, 421), 200, max(200, most * share))))
    size = side / share
    return _view(rng, side, side, size, tuple((0.5 - middle) * size), covers, tilt=0.035)


def photograph(light: Plane, camera: Camera, rng: np.random.Generator) -> bytes:
    """Lens, exposure, noise, denoising, sharpening, tone, and a JPEG or a frame of a video in one.

    Args:
        light: float32 (height, width, 3), linear.
        camera: that takes it.
        rng: draws the rest.

    Returns:
        The JPEG file.
    """
    blur = float(np.exp(rng.uniform(np.log(0.2), np.log(1.3))))
    image = ndimage.gaussian_filter(light, (blur, blur, 0))
    if rng.random() < 0.15:
        image = ndimage.uniform_filter1d(image, int(rng.integers(2, 6)), axis=int(rng.integers(2)))
    image = image * np.float32(rng.uniform(0.12, 0.36) / max(float(image.mean()), 1e-3))
    image = np.clip(image * np.exp(rng.normal(0, 0.1, 3)).astype(np.float32), 0, 1.3)
    image /= 1 + np.float32(rng.uniform(0, 0.4)) * image  # the shoulder of a film curve
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    if camera.webcam:
        noise = ndimage.gaussian_filter(noise, (0.6, 0.6, 0)) * np.float32(2)
    image = to_srgb(image + noise * np.float32(camera.noise) * np.sqrt(np.maximum(image, 0.01) / np.float32(0.2)))
    image = _smoothed(image, camera)
    image = _toned(image, rng)
    if rng.random() < (0.35 if camera.webcam else 0.12):
        image = as_video(np.clip(image, 0, 1), rng)
    return _jpeg(image, camera, rng)


def _smoothed(image: Plane, camera: Camera) -> Plane:
    """Detail weaker than the noise goes, what is left is sharpened, as phones do."""
    soft = ndimage.gaussian_filter(image, (1.1, 1.1, 0))
    detail = image - soft
    level = np.float32((camera.noise * 1.5) ** 2 + 1e-6)
    kept = 1 - np.float32(camera.smoothed) * level / (detail * detail + level)
    return np.asarray(soft + detail * kept * np.float32(1 + max(0.0, camera.sharpened)), np.float32)


def _toned(image: Plane, rng: np.random.Generator) -> Plane:
    """Contrast, local contrast, and saturation."""
    if rng.random() < 0.3:
        wide = ndimage.uniform_filter(image.mean(axis=2), 31)[:, :, None]
        image = np.asarray(image + np.float32(rng.uniform(-0.3, 0.25)) * (wide - 0.45), np.float32)
    image = (image - 0.45) * np.float32(rng.uniform(0.85, 1.2)) + np.float32(0.45 + rng.uniform(-0.05, 0.05))
    grey = image.mean(axis=2, keepdims=True)
    return np.asarray(grey + (image - grey) * np.float32(rng.uniform(0.6, 1.3)), np.float32)


def _jpeg(image: Plane, camera: Camera, rng: np.random.Generator) -> bytes:
    file = Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
    if camera.webcam and rng.random() < 0.4:  # less than it says: enlarged before it is stored
        less = float(rng.uniform(0.5, 0.9))
        size = file.size
        file = file.resize((round(size[0] * less), round(size[1] * less)), Image.Resampling.BILINEAR)
        file = file.resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    file.save(buffer, "JPEG", quality=camera.quality, subsampling=int(rng.choice([0, 2])))
    return buffer.getvalue()


def _view(
    rng: np.random.Generator,
    width: int,
    height: int,
    size: float,
    shift: tuple[float, float],
    covers: bool,
    tilt: float = 0.07,
) -> View:
    middle = np.array([width, height]) / 2 + shift
    return view_of((width, height), size, middle, rng.normal(0, 0.07), rng.uniform(-tilt, tilt, (4, 2)), covers)


def _face(picture: Plane) -> Face | None:
    """The largest face, if there is one."""
    found = FaceDetector.of_process().find(Image.fromarray(np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)))
    return found[0] if found else None

"""One simulated photo: a live face or an attack, through the same scene and the same camera."""

from typing import Final

import numpy as np

from lab.training.data.face_attacks import ATTACKS
from lab.training.data.face_camera import Plane, photograph, to_linear
from lab.training.data.face_scene import compose, draw_view, lighting, look
from lab.training.data.manifest import NO_ATTACK, Split

LIVE: Final = NO_ATTACK


def take(portrait: Plane, background: Plane, kind: str, split: Split, rng: np.random.Generator) -> bytes:
    """Takes one photo.

    Args:
        portrait: float32 (h, w, 3) sRGB in 0..1, a person or any other scene.
        background: float32 (h, w, 3) sRGB in 0..1, put behind the person in half of all photos, live or
            not, and around those attacks whose borders are seen.
        kind: `-` for a live face, or a key of `ATTACKS`.
        split: Whose papers and devices an attack may use.
        rng: Draws everything; the same state gives the same bytes.

    Returns:
        A JPEG file, short edge 224 to 352 pixels.

    Raises:
        KeyError: There is no such attack.
    """
    picture = compose(portrait, background, rng) if rng.random() < 0.5 else portrait
    covers = kind == LIVE or bool(rng.random() < 0.5)
    view = draw_view(rng, covers)
    if kind == LIVE:
        light = to_linear(look(picture, view.u, view.v, view.step)) * lighting(view, rng, 0.35)
    else:
        light = ATTACKS[kind](picture, background, view, split, rng)
    return photograph(light, rng)

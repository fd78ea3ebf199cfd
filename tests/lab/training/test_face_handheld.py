import io
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from bonafide.photo.faces import Face
from lab.training.data import face_handheld
from lab.training.data.face_attacks import PRINT, PROJECTION, SCREEN
from lab.training.data.face_handheld import draw_crop, draw_frame, take
from lab.training.data.face_photo import LIVE
from tests.lab.training.test_face_attacks import picture

KINDS = [LIVE, PRINT, SCREEN]


@pytest.mark.parametrize("kind", KINDS)
def test_photos_are_jpegs_and_the_seed_decides_them(kind: str) -> None:
    face, behind = picture(1), picture(2)
    photos = [take(face, behind, kind, "train", np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert photos[0] == photos[1] != photos[2]
    with Image.open(io.BytesIO(photos[0])) as image:
        assert image.format == "JPEG"
        assert 200 <= min(image.size) <= 481
        assert np.asarray(image).std() > 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_goes_through_the_same_camera_and_may_be_cropped(kind: str) -> None:
    face = Face(0.3, 0.3, 0.4, 0.4, 1.0)
    shown, behind = picture(1), picture(2)
    with (
        patch.object(face_handheld, "_face", return_value=face),
        patch.object(face_handheld, "photograph", wraps=face_handheld.photograph) as camera,
        patch.object(face_handheld, "draw_crop", wraps=draw_crop) as crop,
    ):
        for seed in range(8):
            take(shown, behind, kind, "test", np.random.default_rng(seed))
    assert camera.call_count == 8
    assert 0 < crop.call_count < 8


def test_a_kind_of_the_other_simulator_is_refused() -> None:
    with pytest.raises(ValueError, match=PROJECTION):
        take(picture(1), picture(2), PROJECTION, "test", np.random.default_rng(1))


def test_a_crop_holds_the_face_and_does_not_leave_a_covering_picture() -> None:
    rng = np.random.default_rng(5)
    face = Face(0.05, 0.3, 0.3, 0.4, 1.0)  # near the left edge
    shares = []
    for _ in range(40):
        view = draw_crop(rng, face, covers=True, most=1000)
        assert view.u.shape[0] == view.u.shape[1]
        assert (view.inside > 0).mean() > 0.9
        middle = np.hypot(view.u - 0.2, view.v - 0.5).min()
        assert middle < 0.02
        shares.append(view.u.max() - view.u.min())
    assert min(shares) < 0.65
    assert max(shares) > 0.85


def test_frames_are_not_much_finer_than_the_picture() -> None:
    rng = np.random.default_rng(6)
    for webcam in (True, False):
        view = draw_frame(rng, covers=True, most=220, webcam=webcam)
        assert min(view.u.shape) == 224
        assert (view.inside > 0).mean() > 0.95
    webcam_view = draw_frame(rng, covers=True, most=5000, webcam=True)
    assert webcam_view.u.shape[1] / webcam_view.u.shape[0] == pytest.approx(4 / 3, abs=0.01)

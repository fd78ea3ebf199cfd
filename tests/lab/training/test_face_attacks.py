import io
from itertools import combinations
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lab.training.data import face_attacks, face_camera, face_photo
from lab.training.data.face_attacks import ATTACKS, banded
from lab.training.data.face_photo import LIVE, take
from lab.training.data.face_scene import draw_view
from lab.training.data.manifest import Split

KINDS = [LIVE, *ATTACKS]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


def picture(seed: int) -> NDArray[np.float32]:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((200, 200), Image.Resampling.BICUBIC)
    return (np.asarray(smooth, np.float32) / 255).astype(np.float32)


def photo(kind: str, seed: int, split: Split = "train") -> bytes:
    return take(picture(1), picture(2), kind, split, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_photos_are_phone_jpegs_and_the_seed_decides_them(kind: str) -> None:
    data = photo(kind, seed=3)
    assert data == photo(kind, seed=3)
    assert data != photo(kind, seed=4)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert image.mode == "RGB"
        assert 224 <= min(image.size) <= 352
        assert np.asarray(image).std() > 5


@pytest.mark.parametrize("kind", list(ATTACKS))
@pytest.mark.parametrize("covers", [True, False])
@pytest.mark.parametrize("split", SPLITS)
def test_attacks_return_finite_light_of_the_frames_shape(kind: str, covers: bool, split: Split) -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        view = draw_view(rng, covers)
        light = ATTACKS[kind](picture(1), picture(2), view, split, rng)
        assert light.dtype == np.float32
        assert light.shape == (*view.u.shape, 3)
        assert np.isfinite(light).all()
        assert light.min() > -0.2


def test_a_covering_picture_fills_the_frame() -> None:
    rng = np.random.default_rng(6)
    for _ in range(50):
        view = draw_view(rng, covers=True)
        assert (view.inside > 0).mean() > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_goes_through_the_same_camera(kind: str) -> None:
    with patch.object(face_photo, "photograph", wraps=face_camera.photograph) as camera:
        photo(kind, seed=7)
    camera.assert_called_once()


def test_an_unknown_attack_is_refused() -> None:
    with pytest.raises(KeyError):
        photo("mask", seed=1)


def test_splits_share_no_device_parameter() -> None:
    rng = np.random.default_rng(8)
    drawn = {split: np.array([banded(rng, 0.2, 1.0, split) for _ in range(3000)]) for split in SPLITS}
    for values in drawn.values():
        assert values.min() >= 0.2
        assert values.max() <= 1.0
    bins = {split: set(np.floor(np.log(v / 0.2) / np.log(5) * 9).astype(int)) for split, v in drawn.items()}
    for first, second in combinations(SPLITS, 2):
        assert not bins[first] & bins[second]
    for kinds in (face_attacks._KINDS["paper"], face_attacks._KINDS["pixels"]):
        assert not set(kinds["train"]) & set(kinds["test"])

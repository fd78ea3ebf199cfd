from itertools import combinations

import numpy as np
import pytest

from lab.training.data.face_handheld import draw_frame
from lab.training.data.face_moire import LAYOUTS, Sensor
from lab.training.data.face_replay import PANELS, replayed
from lab.training.data.face_video import as_video
from lab.training.data.manifest import Split
from tests.lab.training.test_face_attacks import SPLITS, picture


@pytest.mark.parametrize("covers", [True, False])
@pytest.mark.parametrize("split", SPLITS)
def test_a_display_is_finite_light_of_the_frames_shape(covers: bool, split: Split) -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        view = draw_frame(rng, covers, 300, webcam=False)
        light = replayed(picture(1), picture(2), view, Sensor(2.0, 0.3, 0.9), split, rng)
        assert light.dtype == np.float32
        assert light.shape == (*view.u.shape, 3)
        assert np.isfinite(light).all()
        assert light.min() > -0.01


def test_splits_share_no_panel() -> None:
    for first, second in combinations(SPLITS, 2):
        assert not set(PANELS[first]) & set(PANELS[second])
    assert {layout for layouts in PANELS.values() for layout in layouts} == set(LAYOUTS)


def test_a_frame_of_a_clip_is_the_picture_with_the_losses_of_a_codec() -> None:
    given = picture(1)[:181, :120]
    frames = [as_video(given, np.random.default_rng(seed)) for seed in range(4)]
    for frame in frames:
        assert frame.shape == (180, 120, 3)
        assert 0.001 < np.abs(frame - given[:180]).mean() < 0.15
    assert not np.array_equal(frames[0], frames[1])
    assert np.array_equal(frames[0], as_video(given, np.random.default_rng(0)))

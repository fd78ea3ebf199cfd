import numpy as np
import pytest

from lab.training.data.face_moire import LAYOUTS, Layout, Sensor, drawn_layout, moire
from lab.training.data.face_scene import View, view_of

SHARP = Sensor(per_pixel=1.0, lens=0.1, fill=0.8)
FLAT = np.zeros((4, 2))


def straight(side: int = 120) -> View:
    return view_of((side, side), side, np.array([side / 2, side / 2]), 0.0, FLAT, covers=True)


def waves(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int:
    """Cycles across the frame of the strongest wave in the middle row."""
    row = values[values.shape[0] // 2] - values[values.shape[0] // 2].mean()
    return int(np.argmax(np.abs(np.fft.rfft(row))))


DRAWN = [drawn_layout(np.random.default_rng(seed)) for seed in range(3)]


@pytest.mark.parametrize("layout", [*LAYOUTS.values(), *DRAWN])
def test_a_lattice_does_not_change_the_mean_light(layout: Layout) -> None:
    factor = moire(straight(), 0.23, layout, Sensor(1.0, 0.5, 0.9))
    assert factor.dtype == np.float32
    assert factor.shape == (120, 120, 3)
    assert factor.min() >= 0
    assert factor.mean() == pytest.approx(1, abs=0.06)


def test_coarse_pixels_are_seen_as_they_are() -> None:
    assert waves(moire(straight(), 0.2, LAYOUTS["rgb"], SHARP)[:, :, 1]) == round(0.2 * 120)


def test_pixels_finer_than_the_sensors_alias_to_slow_waves() -> None:
    factor = moire(straight(), 1.05, LAYOUTS["rgb"], Sensor(1.0, 0.05, 0.75))
    assert waves(factor[:, :, 1]) == round(0.05 * 120)
    assert factor[:, :, 1].std() > 0.005


def test_red_is_sampled_at_every_second_place_and_so_shows_other_moire_than_green() -> None:
    factor = moire(straight(), 0.45, LAYOUTS["rgb"], SHARP)
    assert waves(factor[:, :, 0]) == round(0.05 * 120)
    assert waves(factor[:, :, 1]) == round(0.45 * 120)


def test_a_blurred_lens_and_a_small_file_take_the_pattern_away() -> None:
    sharp = moire(straight(), 0.3, LAYOUTS["rgb"], SHARP).std()
    assert moire(straight(), 0.3, LAYOUTS["rgb"], Sensor(1.0, 1.5, 0.8)).std() < 0.02 * sharp
    assert moire(straight(), 0.3, LAYOUTS["rgb"], Sensor(5.0, 0.1, 0.8)).std() < 0.3 * sharp


def test_sub_pixels_of_drawn_layouts_lie_apart_across_the_edges_of_the_cell_too() -> None:
    layouts = [drawn_layout(np.random.default_rng(seed)) for seed in range(50)]
    nearest = []
    for layout in layouts:
        assert len(layout) == 3
        middles = np.array([spot[:2] for colour in layout for spot in colour])
        away = abs((middles[:, None] - middles[None] + 0.5) % 1 - 0.5)
        nearest.append((np.hypot(*away.transpose(2, 0, 1)) + np.eye(len(middles))).min())
    assert min(nearest) > 0.2
    assert len(set(layouts)) == len(layouts)

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from lab.training.data.face_variation import varied

SIDE = 60


def picture() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    coarse = np.random.default_rng(0).integers(0, 256, (3, 3, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE)))


@pytest.mark.parametrize("seed", range(40))
def test_a_copy_resembles_the_picture_and_is_drawn_again_by_its_seed(seed: int) -> None:
    copy = varied(picture(), np.random.default_rng(seed))
    assert copy.shape == (SIDE, SIDE, 3)
    assert copy.dtype == np.uint8
    assert np.array_equal(copy, varied(picture(), np.random.default_rng(seed)))
    small = [np.asarray(Image.fromarray(each).convert("L").resize((4, 4)), float).ravel() for each in (picture(), copy)]
    assert np.corrcoef(small)[0, 1] > 0.5


def test_copies_differ() -> None:
    copies = [varied(picture(), np.random.default_rng(seed)).astype(float) for seed in range(20)]
    apart = [np.abs(first - second).mean() for first, second in pairwise(copies)]
    assert min(apart) > 1

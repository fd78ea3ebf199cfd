"""Varied copies of faces."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lab.training.face_variation import UNVARIED, varied

SIDE, COUNT = 64, 64


def pictures() -> Tensor:
    coarse = torch.rand((COUNT, 3, 3, 3), generator=torch.Generator().manual_seed(0))
    return functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")


@pytest.mark.parametrize("seed", range(10))
def test_copies_resemble_their_pictures_and_are_drawn_again_by_their_seed(seed: int) -> None:
    before = pictures()
    copies = varied(before, np.random.default_rng(seed))
    assert copies.shape == before.shape
    assert copies.dtype == torch.float32
    assert 0 <= float(copies.min()) < float(copies.max()) <= 1
    assert torch.equal(copies, varied(before, np.random.default_rng(seed)))
    assert torch.equal(before, pictures()), "the pictures themselves stay"
    grey = [functional.adaptive_avg_pool2d(each.mean(1), 4).flatten(1).numpy() for each in (before, copies)]
    alike = [np.corrcoef(first, second)[0, 1] for first, second in zip(*grey, strict=True)]
    assert np.median(alike) > 0.95
    assert min(alike) > 0


def test_few_stay_as_they_are() -> None:
    before = pictures()
    same = [(varied(before, np.random.default_rng(seed)) == before).flatten(1).all(1) for seed in range(20)]
    assert torch.cat(same).float().mean() == pytest.approx(UNVARIED, abs=0.04)

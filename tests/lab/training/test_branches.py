"""Branches judged together: one regression on their averages side by side."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lab.training.branches import Branches, averages, even
from models.branch import Branch
from models.power_branch import PowerBranch
from models.spectral_branch import SpectralBranch

SAMPLES = 16_000


@pytest.fixture
def windows() -> NDArray[np.int16]:
    rng = np.random.default_rng(2)
    tones = np.sin(np.arange(SAMPLES) * rng.uniform(0.05, 2, (40, 1))) * rng.uniform(0.05, 1, (40, 1))
    return ((tones + rng.normal(0, 0.02, tones.shape)) * 20_000).astype(np.int16)


@pytest.fixture
def both() -> Branches:
    torch.manual_seed(3)
    return Branches({"spectral_branch": SpectralBranch([3, 3, 3, 3, 3, 4]), "power_branch": PowerBranch([3, 4])})


@pytest.mark.parametrize("name", ["spectral_branch", "power_branch"])
def test_evened_averages_have_a_deviation_of_one(both: Branches, windows: NDArray[np.int16], name: str) -> None:
    even(both.named[name], windows)
    deviations = averages(both.named[name], windows).std(0, ddof=1).reshape(4, -1).mean(1)
    np.testing.assert_allclose(deviations, 1, rtol=1e-3)


def test_one_regression_on_all_averages_is_the_sum_of_the_branches_logits(
    both: Branches, windows: NDArray[np.int16]
) -> None:
    found = both.averages(windows)
    rng = np.random.default_rng(4)
    weight, centre, spread = torch.from_numpy(rng.uniform(0.5, 2, (3, found.shape[1]))).float()
    both.judge_by(weight, torch.tensor(0.3), centre, spread)
    expected = (torch.from_numpy(found) - centre) / spread @ weight + 0.3
    np.testing.assert_allclose(both.logits(found), expected.numpy(), rtol=1e-4, atol=1e-3)
    samples = torch.from_numpy(windows[:2].astype(np.float32))
    with torch.inference_mode():
        summed = sum(branch(samples) for branch in both.named.values())
    torch.testing.assert_close(summed, expected[:2], rtol=1e-3, atol=1e-2)


def test_rescaled_logits_are_in_deviations(both: Branches, windows: NDArray[np.int16]) -> None:
    found = both.averages(windows)
    before = both.logits(found)
    both.rescale(float(before.mean()), float(before.std()))
    np.testing.assert_allclose(both.logits(found), (before - before.mean()) / before.std(), rtol=1e-3, atol=1e-4)


def test_a_branch_says_what_it_averages() -> None:
    with pytest.raises(NotImplementedError):
        Branch([], 3)(torch.zeros(1, 100))

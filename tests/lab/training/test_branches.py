"""Branches together: their averages side by side, each judged by itself, and their odds added."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lab.training.branches import Branches, averages, even, judge_by, logits, rescale
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


def test_a_regression_on_averages_gives_the_logit_of_the_branch(both: Branches, windows: NDArray[np.int16]) -> None:
    samples = torch.from_numpy(windows[:2].astype(np.float32))
    rng = np.random.default_rng(4)
    for branch, found in zip(both.named.values(), both.parts(both.averages(windows)), strict=True):
        weight, centre, spread = torch.from_numpy(rng.uniform(0.5, 2, (3, found.shape[1]))).float()
        judge_by(branch, weight, torch.tensor(0.3), centre, spread)
        expected = (torch.from_numpy(found) - centre) / spread @ weight + 0.3
        np.testing.assert_allclose(logits(branch, found), expected.numpy(), rtol=1e-4, atol=1e-3)
        with torch.inference_mode():
            torch.testing.assert_close(branch(samples), expected[:2], rtol=1e-3, atol=1e-2)


def test_odds_of_branches_are_added(both: Branches, windows: NDArray[np.int16]) -> None:
    found = both.averages(windows)
    each = [logits(branch, part) for branch, part in zip(both.named.values(), both.parts(found), strict=True)]
    np.testing.assert_allclose(np.exp(both.logits(found)), np.exp(each[0]) + np.exp(each[1]), rtol=1e-4)


@pytest.mark.parametrize("name", ["spectral_branch", "power_branch"])
def test_rescaled_logits_are_in_deviations(both: Branches, windows: NDArray[np.int16], name: str) -> None:
    branch = both.named[name]
    found = averages(branch, windows)
    before = logits(branch, found)
    rescale(branch, float(before.mean()), float(before.std()))
    np.testing.assert_allclose(logits(branch, found), (before - before.mean()) / before.std(), rtol=1e-3, atol=1e-3)


def test_a_branch_says_what_it_averages() -> None:
    with pytest.raises(NotImplementedError):
        Branch([], 3)(torch.zeros(1, 100))

"""The convolutional branch: any length, and nothing of a recording's fixed colour."""

import pytest
import torch

from models.spectral_branch import SpectralBranch


@pytest.fixture
def branch() -> SpectralBranch:
    torch.manual_seed(0)
    made = SpectralBranch(filters=11, channels=[3, 4], width=5)
    made.train(False)
    return made


@pytest.mark.parametrize("frames", [1, 5, 402])
def test_any_length_gives_two_finite_values(branch: SpectralBranch, frames: int) -> None:
    found = branch(torch.randn(3, frames, 11))
    assert found.shape == (3, 2)
    assert torch.isfinite(found).all()


def test_a_fixed_gain_of_each_band_changes_nothing(branch: SpectralBranch) -> None:
    spectrum = torch.randn(2, 40, 11)
    torch.testing.assert_close(branch(spectrum + torch.randn(11)), branch(spectrum))


def test_it_computes_in_float32_whatever_its_weights_are(branch: SpectralBranch) -> None:
    spectrum = torch.randn(2, 40, 11)
    expected = branch(spectrum)
    found = branch.to(torch.bfloat16)(spectrum)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)

"""What holds for each branch, and what they share: filters of a Fourier transform, windows of one level."""

from typing import Any

import numpy as np
import pytest
import torch

from models.branch import Branch, even_peak, fourier
from models.power_branch import PowerBranch
from models.spectral_branch import SpectralBranch


@pytest.fixture(params=["spectral", "power"])
def branch(request: pytest.FixtureRequest) -> Branch:
    torch.manual_seed(0)
    made = SpectralBranch([4, 4, 4, 4, 4, 6]) if request.param == "spectral" else PowerBranch([4, 5, 6])
    made.train(False)
    return made


@torch.inference_mode()
def test_neither_the_level_nor_other_windows_change_a_logit(branch: Branch) -> None:
    samples = torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (3, 64_000)).astype(np.float32))
    logits = branch(samples)
    assert logits.shape == (3,)
    torch.testing.assert_close(branch(samples * 0.01), logits, atol=1e-4, rtol=1e-3)
    alone = torch.cat([branch(each[None]) for each in samples])
    torch.testing.assert_close(alone, logits, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["silence", "one click", "short"])
def test_odd_windows_have_finite_logits(branch: Branch, kind: str) -> None:
    window = torch.zeros(1, 800 if kind == "short" else 64_000)
    if kind == "one click":
        window[0, 30_000] = 1.0
    assert torch.isfinite(branch(window)).all()


@pytest.mark.parametrize("channels", ["6", {"6": 6}, [], [4] * 7, [4, 0], [4, 2000], [4, 2.5], [True]])
@pytest.mark.parametrize(
    ("made", "told"),
    [
        (SpectralBranch, "spectral_branch_channels must be 1 to 6"),
        (PowerBranch, "power_branch_channels must be 1 to 4"),
    ],
)
def test_what_no_branch_can_have_is_told(made: Any, told: str, channels: Any) -> None:
    with pytest.raises(ValueError, match=f"{told} numbers from 1 to 1024"):
        made(channels)


@pytest.mark.parametrize("length", [320, 512])
def test_the_filters_are_a_windowed_fourier_transform(length: int) -> None:
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 1, length).astype(np.float32))
    window = torch.hann_window(length)
    parts = torch.nn.functional.conv1d(samples[None, None], fourier(window)).squeeze()
    expected = np.fft.rfft(samples.numpy() * window.numpy())
    np.testing.assert_allclose(parts[: length // 2 + 1], expected.real, atol=1e-3)
    np.testing.assert_allclose(parts[length // 2 + 1 :], expected.imag, atol=1e-3)


def test_each_window_gets_a_peak_of_one() -> None:
    even = even_peak(torch.tensor([[0.1, -0.2, 0.05], [100.0, 30, 0], [0, 0, 0]]))
    torch.testing.assert_close(even.abs().amax(1), torch.tensor([1.0, 1, 0]))

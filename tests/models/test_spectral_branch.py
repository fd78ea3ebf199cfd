"""The spectral branch alone: its sizes, and what must not change its logit."""

from typing import Any

import numpy as np
import pytest
import torch

from models.spectral_branch import SpectralBranch, compressed, spectral_branch_width

CHANNELS = [4, 4, 4, 4, 4, 6]


@pytest.fixture(scope="module")
def branch() -> SpectralBranch:
    torch.manual_seed(0)
    made = SpectralBranch(CHANNELS)
    made.train(False)
    return made


@pytest.fixture(scope="module")
def samples() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (3, 64_000)).astype(np.float32))


@torch.inference_mode()
def test_maps_have_the_width_that_is_judged_and_half_the_frames(branch: SpectralBranch, samples: torch.Tensor) -> None:
    maps = branch.maps(compressed(samples))
    assert maps.shape == (3, spectral_branch_width(CHANNELS), 200)
    assert branch(samples).shape == (3,)


@torch.inference_mode()
def test_neither_the_level_nor_other_windows_change_a_logit(branch: SpectralBranch, samples: torch.Tensor) -> None:
    logits = branch(samples)
    torch.testing.assert_close(branch(samples * 0.01), logits, atol=1e-4, rtol=1e-3)
    alone = torch.cat([branch(each[None]) for each in samples])
    torch.testing.assert_close(alone, logits, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_magnitudes_are_compressed_and_phases_stay() -> None:
    time = torch.arange(16_000) / 16_000
    loud, soft = (compressed((level * torch.sin(2 * torch.pi * 1000 * time))[None]) for level in (1.0, 0.1))
    bin_of_1_khz = 20
    strong, weak = (each[0, :, bin_of_1_khz, 50] for each in (loud, soft))
    assert float(strong.norm() / weak.norm()) == pytest.approx(10**0.3, rel=1e-3)
    torch.testing.assert_close(strong / strong.norm(), weak / weak.norm(), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["silence", "one click", "short"])
def test_odd_windows_have_finite_logits(branch: SpectralBranch, kind: str) -> None:
    window = torch.zeros(1, 800 if kind == "short" else 64_000)
    if kind == "one click":
        window[0, 30_000] = 1.0
    assert torch.isfinite(branch(window)).all()


@pytest.mark.parametrize("channels", ["6", {"6": 6}, [], [4] * 7, [4, 0], [4, 2000], [4, 2.5], [True]])
def test_what_no_branch_can_have_is_told(channels: Any) -> None:
    with pytest.raises(ValueError, match="spectral_branch_channels must be 1 to 6 numbers from 1 to 1024"):
        SpectralBranch(channels)

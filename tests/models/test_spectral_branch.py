"""The spectral branch alone: its sizes, and the spectrum that it sees."""

import numpy as np
import pytest
import torch

from models.branch import even_peak
from models.spectral_branch import SpectralBranch, compressed, spectral_branch_width

CHANNELS = [4, 4, 4, 4, 4, 6]


@torch.inference_mode()
def test_what_is_judged_is_the_average_of_every_third_frame_of_the_maps() -> None:
    torch.manual_seed(0)
    branch = SpectralBranch(CHANNELS)
    samples = torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (3, 64_000)).astype(np.float32))
    maps = branch.maps(compressed(even_peak(samples)))
    assert maps.shape == (3, spectral_branch_width(CHANNELS), 200)
    torch.testing.assert_close(branch.averages(samples), maps[:, :, ::3].mean(2), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_magnitudes_are_compressed_and_phases_stay() -> None:
    time = torch.arange(16_000) / 16_000
    loud, soft = (compressed((level * torch.sin(2 * torch.pi * 1000 * time))[None]) for level in (1.0, 0.1))
    bin_of_1_khz = 20
    strong, weak = (each[0, :, bin_of_1_khz, 50] for each in (loud, soft))
    assert float(strong.norm() / weak.norm()) == pytest.approx(10**0.3, rel=1e-3)
    torch.testing.assert_close(strong / strong.norm(), weak / weak.norm(), atol=1e-4, rtol=1e-4)

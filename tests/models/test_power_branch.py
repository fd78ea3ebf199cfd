"""The power branch alone: its sizes, and the spectrum that it sees."""

import numpy as np
import pytest
import torch

from models.power_branch import WINDOW, PowerBranch, log_power, power_branch_width

CHANNELS = [4, 5, 6]


@torch.inference_mode()
def test_every_channel_is_averaged_at_the_frequencies_that_are_left() -> None:
    assert PowerBranch(CHANNELS).averages(torch.randn(3, 64_000)).shape == (3, power_branch_width(CHANNELS)) == (3, 24)


@torch.inference_mode()
def test_a_sine_is_found_at_its_frequency_and_silence_has_the_least_power() -> None:
    time = torch.arange(64_000) / 16_000
    found = log_power(torch.sin(2 * torch.pi * 1000 * time)[None])
    assert found.shape == (1, 1, 64_000 // WINDOW, 257)
    assert int(found[0, 0, 10].argmax()) == 32  # of 31.25 Hz each
    assert float(found.max()) == pytest.approx(np.log(0.25 * (0.54 * WINDOW) ** 2 / 4) / 20, abs=1e-3)
    assert float(log_power(torch.zeros(1, 64_000)).max()) == pytest.approx(np.log(1e-7) / 20, abs=1e-4)

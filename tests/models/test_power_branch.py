"""The power branch alone: its sizes, and what must not change its logit."""

from typing import Any

import numpy as np
import pytest
import torch

from models.power_branch import WINDOW, PowerBranch, log_power, power_branch_width

CHANNELS = [4, 5, 6]


@pytest.fixture(scope="module")
def branch() -> PowerBranch:
    torch.manual_seed(0)
    made = PowerBranch(CHANNELS)
    made.train(False)
    return made


@pytest.fixture(scope="module")
def samples() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (3, 64_000)).astype(np.float32))


@torch.inference_mode()
def test_every_channel_is_averaged_at_the_frequencies_that_are_left(branch: PowerBranch, samples: torch.Tensor) -> None:
    assert branch.averages(samples).shape == (3, power_branch_width(CHANNELS)) == (3, 24)
    assert branch(samples).shape == (3,)


@torch.inference_mode()
def test_neither_the_level_nor_other_windows_change_a_logit(branch: PowerBranch, samples: torch.Tensor) -> None:
    logits = branch(samples)
    torch.testing.assert_close(branch(samples * 0.01), logits, atol=1e-4, rtol=1e-3)
    alone = torch.cat([branch(each[None]) for each in samples])
    torch.testing.assert_close(alone, logits, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_a_sine_is_found_at_its_frequency_and_silence_has_the_least_power() -> None:
    time = torch.arange(64_000) / 16_000
    found = log_power(torch.sin(2 * torch.pi * 1000 * time)[None])
    assert found.shape == (1, 1, 64_000 // WINDOW, 257)
    assert int(found[0, 0, 10].argmax()) == 32  # of 31.25 Hz each
    assert float(found.max()) == pytest.approx(np.log(0.25 * (0.54 * WINDOW) ** 2 / 4) / 20, abs=1e-3)
    assert float(log_power(torch.zeros(1, 64_000)).max()) == pytest.approx(np.log(1e-7) / 20, abs=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["silence", "one click", "short"])
def test_odd_windows_have_finite_logits(branch: PowerBranch, kind: str) -> None:
    window = torch.zeros(1, 800 if kind == "short" else 64_000)
    if kind == "one click":
        window[0, 30_000] = 1.0
    assert torch.isfinite(branch(window)).all()


@pytest.mark.parametrize("channels", ["6", {"6": 6}, [], [4] * 5, [4, 0], [4, 2000], [4, 2.5], [True]])
def test_what_no_branch_can_have_is_told(channels: Any) -> None:
    with pytest.raises(ValueError, match="power_branch_channels must be 1 to 4 numbers from 1 to 1024"):
        PowerBranch(channels)

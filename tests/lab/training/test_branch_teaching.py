"""Teaching the spectral branch, by a small network in place of Distill-MOS, which would have to be fetched."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from lab.training import branch_teaching, distill_mos
from lab.training.branch_teaching import Copying
from models.spectral_branch import compressed, convolutions

CHANNELS = (6, 6, 6, 6, 6, 4)
SAMPLES = 16_000


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> nn.Sequential:
    torch.manual_seed(0)
    network = convolutions(CHANNELS, (1, 1, 1, 1, 1, 2))
    network.requires_grad_(False)
    monkeypatch.setattr(distill_mos, "network", lambda: network)
    return network


@pytest.fixture
def windows() -> NDArray[np.int16]:
    rng = np.random.default_rng(2)
    tones = np.sin(np.arange(SAMPLES) * rng.uniform(0.05, 2, (80, 1))) * rng.uniform(0.05, 1, (80, 1))
    return ((tones + rng.normal(0, 0.02, tones.shape)) * 20_000).astype(np.int16)


def plan(steps: int) -> Copying:
    return Copying(channels=(3, 3, 3, 3, 3, 4), steps=steps, batch=8, crop_frames=25, learning_rate=5e-3, seed=1)


def test_more_steps_explain_more_of_what_the_network_finds(
    wide: nn.Sequential, windows: NDArray[np.int16], tmp_path: Path
) -> None:
    maps = branch_teaching.maps_of(windows, tmp_path / "maps.npy")
    expected = wide(compressed(torch.from_numpy(windows[:1].astype(np.float32) / 32767))).flatten(1, 2)
    # The file is in half precision, and OpenVINO may compute in bfloat16.
    torch.testing.assert_close(torch.from_numpy(maps[:1].astype(np.float32)), expected, atol=0.02, rtol=0.05)
    spread = torch.from_numpy(maps.astype(np.float32)).std((0, 2)) + 1e-3
    early, late = (
        branch_teaching.explained(branch_teaching.taught(windows, maps, plan(steps)), windows, maps, spread)
        for steps in (2, 40)
    )
    assert late > early
    known = (tmp_path / "maps.npy").stat().st_mtime_ns
    assert branch_teaching.maps_of(windows, tmp_path / "maps.npy").shape == maps.shape
    assert (tmp_path / "maps.npy").stat().st_mtime_ns == known, "a finished file is opened again"


def test_as_many_channels_begin_as_the_network_itself(wide: nn.Sequential) -> None:
    same = convolutions(CHANNELS, (1, 1, 1, 1, 1, 2))
    branch_teaching.begin(same, wide)
    for name, weight in wide.state_dict().items():
        torch.testing.assert_close(same.state_dict()[name], weight)


def test_the_network_is_read_from_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(4)
    made = convolutions(distill_mos.CHANNELS, (1, 1, 1, 1, 1, 2))
    file = tmp_path / "distillmos/weights/distill_mos_v7.pt"
    file.parent.mkdir(parents=True)
    state = {f"cnn.cnn.{name}": weight for name, weight in made.state_dict().items()}
    torch.save({"model": state | {"transformer_pool_attn.pool.linear1.bias": torch.zeros(1)}}, file)
    monkeypatch.setattr(distill_mos, "fetch", lambda _wheel: tmp_path)
    for name, weight in distill_mos.network().state_dict().items():
        assert torch.equal(weight, made.state_dict()[name])

"""Adding branches to a voice model: calls judged milder, the sum of scores, and the served folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.training import voice_branch, voice_calls_offset, voice_model
from lab.training.branch_windows import Recorded, Shown
from lab.training.branches import Branches
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW
from lab.training.voice_calls_offset import Offset
from models.errors import UnsupportedModel
from models.options import LoadOptions
from models.power_branch import PowerBranch
from models.spectral_branch import SpectralBranch
from models.statistics_wavlm import WavLMForStatistics
from models.voice_model import VoiceSpoofModel
from tests.lab.training.small_voice import MODEL


@pytest.fixture(scope="module")
def first() -> WavLMForStatistics:
    model = voice_model.build(MODEL, seed=0)
    model.train(False)
    return model


def test_statistics_for_the_milder_model_are_kept(
    first: WavLMForStatistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    before = rng.normal(0, 1000, (6, WINDOW)).astype(np.int16)
    pairs = [("bonafide", "-"), ("spoof", "lpc")] * 3
    items = [Item(Path("a"), label, "a", "s", "l", attack, "train") for label, attack in pairs]  # type: ignore[arg-type]
    heard = Recorded(before, before // 256 * 256, Branches({}), items * 2, np.zeros((12, 0), np.float32))
    voice_model.save(first, tmp_path / "first")
    milder = voice_branch.milder_on_calls(tmp_path / "first", heard, Offset(0.01, 1, 1), tmp_path)
    with monkeypatch.context() as patched:
        patched.delattr(voice_calls_offset, "statistics")
        again = voice_branch.milder_on_calls(tmp_path / "first", heard, Offset(0.01, 0.5, 1), tmp_path)
    assert not torch.equal(milder.classifier.weight, first.classifier.weight)
    torch.testing.assert_close(milder.classifier.weight[:, 2:4], 2 * again.classifier.weight[:, 2:4])
    assert torch.equal(milder.projector.weight[:2], first.projector.weight[:2].half().float())


@torch.inference_mode()
def test_the_odds_of_both_add_up_in_deviations_of_real_speech(first: WavLMForStatistics) -> None:
    torch.manual_seed(7)
    branches = Branches({"spectral_branch": SpectralBranch([3, 3, 3, 3, 3, 4]), "power_branch": PowerBranch([3, 4])})
    rng = np.random.default_rng(8)
    real = [Item(Path("a"), "bonafide", "a", "s", "l", "-", "dev")] * 6
    samples = torch.randn(6, WINDOW, generator=torch.Generator().manual_seed(5))
    averages = branches.averages(samples.numpy())
    windows = Shown(real, rng.normal(3, 2, 6).astype(np.float32), averages)
    own, added = first(samples).logits, branches.logits(averages)
    one = (own[:, 1] - own[:, 0] - windows.own.mean()) / windows.own.std() - 0.5
    other = torch.from_numpy((added - added.mean()) / added.std())
    found = voice_branch.joined(first, branches, windows, 0.5)(samples).logits
    torch.testing.assert_close(found[:, 1] - found[:, 0], torch.logaddexp(one, other), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_folder_is_served_with_its_branches(first: WavLMForStatistics, tmp_path: Path, engine: Any) -> None:
    torch.manual_seed(7)
    sizes = {"spectral_branch_channels": [3, 3, 3, 3, 3, 4], "power_branch_channels": [3, 4]}
    model = voice_model.build(MODEL | sizes, seed=0)
    assert len(model.branches) == 2
    for branch in model.branches.values():
        # Each average its own: OpenVINO once took other constants than these.
        torch.nn.init.normal_(branch.get_buffer("centre"), std=0.05)
        torch.nn.init.uniform_(branch.get_buffer("spread"), 0.05, 0.2)
    voice_model.save(model, tmp_path / "model")
    options = LoadOptions(tmp_path, tmp_path / "compiled", engine=engine, precision="fp32", threads=1, max_batch=1)
    served = VoiceSpoofModel.load(str(tmp_path / "model"), options)
    loaded = WavLMForStatistics.from_pretrained(tmp_path / "model", dtype=torch.float32).train(False)
    for length in (WINDOW, 16_000, 3_000, 1_664):  # the last is the shortest that the front takes
        window = (np.random.default_rng(6).normal(0, 0.1, length) * 32768).astype(np.int16)
        samples = torch.from_numpy(window / 32768).float()
        with torch.inference_mode():
            expected = loaded(((samples - samples.mean()) / samples.std(unbiased=False))[None]).logits.softmax(1)[0, 1]
        assert served.score([window])[0] == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize(
    ("entry", "value", "told"),
    [
        ("spectral_branch_channels", [0], "spectral_branch_channels must be"),
        ("power_branch_channels", "no", "power_branch_channels must be"),
        ("spectral_filters", None, "lacks what WavLMForStatistics"),
    ],
)
def test_a_configuration_that_cannot_be_is_told(tmp_path: Path, entry: str, value: Any, told: str) -> None:
    voice_model.save(voice_model.build(MODEL, seed=0), tmp_path / "model")
    file = tmp_path / "model/config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {entry: value}))
    with pytest.raises(UnsupportedModel, match=told):
        VoiceSpoofModel.load(str(tmp_path / "model"), LoadOptions(tmp_path, tmp_path / "compiled", engine="torch"))

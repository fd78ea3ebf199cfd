"""Adding a spectral branch to a voice model: the sum of scores, what is kept between runs, and the served folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.training import quality_network, voice_branch, voice_calls_offset, voice_model, voice_recordings
from lab.training.data import manifest
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW, save
from lab.training.voice_calls_offset import Offset
from models.errors import UnsupportedModel
from models.options import LoadOptions
from models.spectral_branch import SpectralBranch, convolutions
from models.statistics_wavlm import WavLMForStatistics
from models.voice_model import VoiceSpoofModel
from tests.lab.training.small_voice import MODEL

SETTINGS: dict[str, Any] = {
    "seed": 1,
    "channels": [3, 3, 3, 3, 3, 4],
    "recording": {"fours": 20, "workers": 0},
    "teaching": {"steps": 2, "batch": 4, "crop_frames": 25, "learning_rate": 1e-3},
    "judging": {"ridge": 0.01},
}


@pytest.fixture(scope="module")
def first() -> WavLMForStatistics:
    model = voice_model.build(MODEL, seed=0)
    model.train(False)
    return model


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Both splits: noise of a person, a rougher copy of it, a voice that hums."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    made = []
    for side in ("train", "dev"):
        noise = rng.normal(0, 0.1, WINDOW)
        hum = 0.3 * np.sin(np.arange(WINDOW) * 0.1) + rng.normal(0, 0.01, WINDOW)
        for attack, subject, samples in (("-", "a", noise), ("lpc", "a", np.round(noise, 1)), ("espeak", "v", hum)):
            path = folder / side / attack / f"{side}{subject}" / "0000.wav"
            save(np.asarray(samples, np.float32), path)
            label = "bonafide" if attack == "-" else "spoof"
            made.append(Item(path, label, f"{side}{subject}", "s", "l", attack, side))  # type: ignore[arg-type]
    manifest.write(made, folder / "manifest.jsonl")
    return manifest.read(folder / "manifest.jsonl")


@pytest.fixture(scope="module")
def heard(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> voice_branch.Recorded:
    torch.manual_seed(0)
    network = convolutions((6, 6, 6, 6, 6, 4), (1, 1, 1, 1, 1, 2)).requires_grad_(False)
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(quality_network, "network", lambda: network)
        patched.setattr(voice_recordings, "call", lambda samples, rng: np.round(samples, 2))
        before = voice_branch.recorded(SETTINGS, items, folder)
    # Nothing is fetched, recorded or taught again.
    again = voice_branch.recorded(SETTINGS, items, folder)
    np.testing.assert_array_equal(before.averages, again.averages)
    return again


@pytest.fixture(scope="module")
def windows(first: WavLMForStatistics, heard: voice_branch.Recorded, items: list[Item]) -> voice_branch.Shown:
    return voice_branch.shown(first, heard.branch, items)


def test_what_is_judged_separates_what_it_learned_from(heard: voice_branch.Recorded) -> None:
    voice_branch.judge(heard, np.ones(len(heard.items), np.bool_), ridge=1e-4)
    scores = voice_branch.branch_logits(heard.branch, heard.averages)
    spoof = np.array([item.label == "spoof" for item in heard.items])
    assert scores[spoof].mean() > scores[~spoof].mean() + 1


def test_a_window_and_its_call_are_of_one_item(heard: voice_branch.Recorded) -> None:
    half = len(heard.windows)
    assert heard.calls.shape == heard.windows.shape
    assert len(heard.averages) == len(heard.items) == 2 * half
    assert heard.items[:half] == heard.items[half:]
    assert not np.array_equal(heard.averages[:half], heard.averages[half:])


def test_statistics_for_the_milder_model_are_kept(
    first: WavLMForStatistics, heard: voice_branch.Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    branch = SpectralBranch([3, 3, 3, 3, 3, 4])
    branch.train(False)
    rng = np.random.default_rng(8)
    real = [Item(Path("a"), "bonafide", "a", "s", "l", "-", "dev")] * 6
    windows = voice_branch.Shown(
        real, rng.normal(3, 2, 6).astype(np.float32), rng.normal(0, 1, (6, 16)).astype(np.float32)
    )
    added = voice_branch.branch_logits(branch, windows.averages)
    samples = torch.randn(2, WINDOW, generator=torch.Generator().manual_seed(5))
    own = first(samples).logits
    one = (own[:, 1] - own[:, 0] - windows.own.mean()) / windows.own.std()
    other = (branch(samples) - added.mean()) / added.std()
    found = voice_branch.joined(first, branch, windows)(samples).logits
    torch.testing.assert_close(found[:, 1] - found[:, 0], torch.logaddexp(one, other), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_folder_is_served_with_its_branch(first: WavLMForStatistics, tmp_path: Path, engine: Any) -> None:
    torch.manual_seed(7)
    model = voice_model.build(MODEL | {"branch_channels": [3, 3, 3, 3, 3, 4]}, seed=0)
    assert model.branch is not None
    # Each average its own: OpenVINO once took other constants than these.
    torch.nn.init.normal_(model.branch.get_buffer("centre"), std=0.05)
    torch.nn.init.uniform_(model.branch.get_buffer("spread"), 0.05, 0.2)
    voice_model.save(model, tmp_path / "model")
    options = LoadOptions(tmp_path, tmp_path / "compiled", engine=engine, precision="fp32")
    served = VoiceSpoofModel.load(str(tmp_path / "model"), options)
    window = (np.random.default_rng(6).normal(0, 0.1, WINDOW) * 32768).astype(np.int16)
    samples = torch.from_numpy(window / 32768).float()
    loaded = WavLMForStatistics.from_pretrained(tmp_path / "model", dtype=torch.float32).train(False)
    with torch.inference_mode():
        expected = loaded(((samples - samples.mean()) / samples.std(unbiased=False))[None]).logits.softmax(1)[0, 1]
    assert served.score([window])[0] == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize(
    ("entry", "value", "told"),
    [("branch_channels", [0], "branch_channels must be"), ("spectral_filters", None, "lacks what WavLMForStatistics")],
)
def test_a_configuration_that_cannot_be_is_told(tmp_path: Path, entry: str, value: Any, told: str) -> None:
    voice_model.save(voice_model.build(MODEL, seed=0), tmp_path / "model")
    file = tmp_path / "model/config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {entry: value}))
    with pytest.raises(UnsupportedModel, match=told):
        VoiceSpoofModel.load(str(tmp_path / "model"), LoadOptions(tmp_path, tmp_path / "compiled", engine="torch"))

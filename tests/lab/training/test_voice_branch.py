"""Adding branches to a voice model: the sum of scores, what is kept between runs, and the served folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.training import distill_mos, plc_mos, voice_branch, voice_calls_offset, voice_model, voice_recordings
from lab.training.branches import Branches
from lab.training.data import manifest
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW, save
from lab.training.voice_branch import Judging
from lab.training.voice_calls_offset import Offset
from models.errors import UnsupportedModel
from models.options import LoadOptions
from models.power_branch import PowerBranch
from models.spectral_branch import SpectralBranch, convolutions
from models.statistics_wavlm import WavLMForStatistics
from models.voice_model import VoiceSpoofModel
from tests.lab.training.small_voice import MODEL

SETTINGS: dict[str, Any] = {
    "seed": 1,
    "channels": [3, 3, 3, 3, 3, 4],
    "recording": {"fours": 20, "workers": 0},
    "teaching": {"steps": 2, "batch": 4, "crop_frames": 25, "learning_rate": 1e-3},
    "judging": {"ridge": 0.01, "as_they_are": 0.5},
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
        patched.setattr(distill_mos, "network", lambda: network)
        patched.setattr(plc_mos, "CHANNELS", (3, 3, 4))
        patched.setattr(plc_mos, "branch", lambda: PowerBranch((3, 3, 4)).train(False))
        patched.setattr(voice_recordings, "call", lambda samples, rng: np.round(samples, 2))
        before = voice_branch.recorded(SETTINGS, items, folder)
        # Nothing is fetched, recorded or taught again.
        for module, name in ((distill_mos, "network"), (plc_mos, "branch"), (voice_recordings, "call")):
            patched.setattr(module, name, None)
        again = voice_branch.recorded(SETTINGS, items, folder)
    np.testing.assert_array_equal(before.averages, again.averages)
    return again


@pytest.fixture(scope="module")
def windows(first: WavLMForStatistics, heard: voice_branch.Recorded, items: list[Item]) -> voice_branch.Shown:
    return voice_branch.shown(first, heard.branches, items)


def test_what_is_judged_separates_what_it_learned_from(
    heard: voice_branch.Recorded, windows: voice_branch.Shown
) -> None:
    voice_branch.judge(heard, windows, Judging(ridge=1e-4, as_they_are=0.0))
    scores = heard.branches.logits(heard.averages)
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


def test_sites_left_out_are_not_learned_from_and_clips_as_they_are_count(heard: voice_branch.Recorded) -> None:
    rng = np.random.default_rng(9)
    half, width = len(heard.items), heard.averages.shape[1]
    ones = voice_branch.Recorded(
        heard.windows, heard.calls, heard.branches, heard.items, rng.normal(0, 1, (half, width)).astype(np.float32)
    )
    clips, seen = [], []
    for place, (site, sign) in enumerate([("github:e1", 1.0), ("github:other", -1.0)]):
        for label, attack in (("spoof", "x"), ("bonafide", "-")):
            clips += [Item(Path("a"), label, "a", site, "l", attack, "train")] * 20  # type: ignore[arg-type]
            shift = np.zeros(width)
            shift[place] = 3 * sign * (1 if label == "spoof" else -1)
            seen.append(rng.normal(shift, 1, (20, width)))
    windows = voice_branch.Shown(clips, np.zeros(80, np.float32), np.concatenate(seen).astype(np.float32))

    def apart(place: int) -> float:
        found = ones.branches.logits(windows.averages)[40 * place : 40 * place + 40]
        return float(found[:20].mean() - found[20:].mean())

    plan = Judging(ridge=1e-2, as_they_are=0.9)
    voice_branch.judge(ones, windows, plan)
    assert min(apart(0), apart(1)) > 1
    voice_branch.judge(ones, windows, plan, frozenset({"github:e1"}))
    assert apart(1) > 1
    assert abs(apart(0)) < 1


@torch.inference_mode()
def test_the_odds_of_both_add_up_in_deviations_of_real_speech(first: WavLMForStatistics) -> None:
    torch.manual_seed(7)
    branches = Branches({"spectral_branch": SpectralBranch([3, 3, 3, 3, 3, 4]), "power_branch": PowerBranch([3, 4])})
    rng = np.random.default_rng(8)
    real = [Item(Path("a"), "bonafide", "a", "s", "l", "-", "dev")] * 6
    samples = torch.randn(6, WINDOW, generator=torch.Generator().manual_seed(5))
    averages = branches.averages(samples.numpy())
    windows = voice_branch.Shown(real, rng.normal(3, 2, 6).astype(np.float32), averages)
    own, added = first(samples).logits, branches.logits(averages)
    one = (own[:, 1] - own[:, 0] - windows.own.mean()) / windows.own.std()
    other = torch.from_numpy((added - added.mean()) / added.std())
    found = voice_branch.joined(first, branches, windows)(samples).logits
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

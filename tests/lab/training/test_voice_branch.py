"""Adding a spectral branch to a voice model: the sum of scores, what is kept between runs, and the served folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.training import quality_network, voice_branch, voice_model
from lab.training.data import manifest
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW, save
from models.options import LoadOptions
from models.spectral_branch import SpectralBranch, convolutions
from models.statistics_wavlm import WavLMForStatistics
from models.voice_model import VoiceSpoofModel

MODEL: dict[str, Any] = {
    "hidden_size": 384,
    "num_hidden_layers": 1,
    "num_attention_heads": 6,
    "intermediate_size": 64,
    "classifier_proj_size": 8,
    "silence_gate": 0.02,
}
SETTINGS: dict[str, Any] = {
    "seed": 1,
    "channels": [3, 3, 3, 3, 3, 4],
    "recording": {"fours": 20, "workers": 0},
    "teaching": {"steps": 2, "batch": 4, "crop_frames": 25, "learning_rate": 1e-3},
    "judging": {"ridge": 0.01, "earlier_share": 0.3},
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
        before = voice_branch.recorded(SETTINGS, items, folder)
    # Nothing is fetched, recorded or taught again.
    again = voice_branch.recorded(SETTINGS, items, folder)
    np.testing.assert_array_equal(before.averages, again.averages)
    return again


def test_what_is_judged_separates_what_it_learned_from(heard: voice_branch.Recorded) -> None:
    voice_branch.judge(heard, np.ones(len(heard.items), np.bool_), ridge=1e-4)
    averages = torch.from_numpy(heard.averages)
    branch = heard.branch
    standard = (averages - branch.get_buffer("centre")) / branch.get_buffer("spread")
    logits = branch.judge(standard).detach().numpy()
    spoof = np.array([item.label == "spoof" for item in heard.items])
    scores = logits[:, 1] - logits[:, 0]
    assert scores[spoof].mean() > scores[~spoof].mean() + 1


@torch.inference_mode()
def test_shares_add_up_to_the_sum_of_both_scores(first: WavLMForStatistics, heard: voice_branch.Recorded) -> None:
    samples = torch.randn(2, WINDOW, generator=torch.Generator().manual_seed(5))
    own, branch = first(samples).logits, heard.branch(samples)
    for share in (0.0, 0.3, 1.0):
        found = voice_branch.joined(first, heard.branch, share)(samples).logits
        torch.testing.assert_close(found, share * own + (1 - share) * branch, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_folder_is_served_with_its_branch(first: WavLMForStatistics, tmp_path: Path, engine: Any) -> None:
    torch.manual_seed(7)
    model = voice_branch.joined(first, SpectralBranch([3, 3, 3, 3, 3, 4]), 0.3)
    voice_model.save(model, tmp_path / "model")
    options = LoadOptions(tmp_path, tmp_path / "compiled", engine=engine, precision="fp32")
    served = VoiceSpoofModel.load(str(tmp_path / "model"), options)
    window = (np.random.default_rng(6).normal(0, 0.1, WINDOW) * 32768).astype(np.int16)
    samples = torch.from_numpy(window / 32768).float()
    loaded = WavLMForStatistics.from_pretrained(tmp_path / "model", dtype=torch.float32).train(False)
    with torch.inference_mode():
        expected = loaded(((samples - samples.mean()) / samples.std(unbiased=False))[None]).logits.softmax(1)[0, 1]
    assert served.score([window])[0] == pytest.approx(float(expected), abs=1e-4)


def test_the_table_judges_each_site_and_the_old_families(
    first: WavLMForStatistics, items: list[Item], heard: voice_branch.Recorded
) -> None:
    modern = [
        Item(item.path, item.label, item.subject, "github:e1tts/e1tts.github.io", "l", item.attack, item.split)
        for item in items
    ]
    sites = voice_branch.FOLDS
    kept = {name: sites[name] for name in ("e1tts",)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(voice_branch, "FOLDS", kept)
        patched.setattr(voice_branch, "NEURAL", "lpc")
        rows = voice_branch.table(heard, first, [*items, *modern], ridge=0.01)
    assert rows[0].startswith("| share | e1tts | old families |")
    assert len(rows) == 2 + len(voice_branch.SHARES)


def test_a_branch_of_another_width_does_not_fit(first: WavLMForStatistics) -> None:
    model = voice_branch.joined(first, SpectralBranch([3, 3, 3, 3, 3, 4]), 0.5)
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(voice_branch.joined(first, SpectralBranch([3, 3, 3, 3, 3, 6]), 0.5).state_dict())

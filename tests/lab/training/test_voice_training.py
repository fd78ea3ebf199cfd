"""The loop behind the bundled voice model, two steps of it: what is trained, what is frozen, and the result."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import WavLMForSequenceClassification

from lab.training import voice, voice_model
from lab.training.data import manifest
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW, save
from models.statistics_wavlm import WavLMForStatistics
from tests.lab.training.small_voice import MODEL

SETTINGS: dict[str, Any] = {
    "seed": 1,
    "model": MODEL,
    "training": {
        "heard_fours": 2,
        "head_ridge": 0.003,
        "earlier_share": 0.3,
        "head_dropout": 0.1,
        "steps": 2,
        "fours_per_step": 2,
        "crop_frames": 25,
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "eval_steps": 1,
        "loader_workers": 0,
    },
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    items = []
    for side in ("train", "dev"):
        for attack, subject in (("-", "a"), ("lpc", "a"), ("espeak", "v")):
            path = tmp_path / side / attack / f"{side}{subject}" / "0000.wav"
            save(np.asarray(rng.normal(0, 0.1, WINDOW), np.float32), path)
            label = "bonafide" if attack == "-" else "spoof"
            items.append(Item(path, label, f"{side}{subject}", "s", "l", attack, side))  # type: ignore[arg-type]
    manifest.write(items, tmp_path / "manifest.jsonl")
    return tmp_path / "manifest.jsonl"


@pytest.mark.slow
def test_layers_learn_and_the_front_stays(data: Path, tmp_path: Path) -> None:
    # In place of the teacher, which would have to be fetched.
    written = tmp_path / "out/written"
    voice_model.save(voice_model.build(SETTINGS["model"], seed=0), written)
    folder = voice.train(SETTINGS, data, tmp_path / "out")
    before, after = (WavLMForStatistics.from_pretrained(where).state_dict() for where in (written, folder))
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert any(".layers.0.feed_forward" in name for name in changed)
    assert "classifier.weight" in changed
    assert not any(".feature_" in name or ".pos_conv_embed." in name for name in changed)
    assert (tmp_path / "out/result.json").exists()
    # All steps are done: nothing is left to learn, and the same weights come out.
    again = WavLMForStatistics.from_pretrained(voice.train(SETTINGS, data, tmp_path / "out")).state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in after.items())


def test_a_source_that_every_four_needs_cannot_be_left_out(data: Path, tmp_path: Path) -> None:
    items = manifest.read(data)
    manifest.write([replace(item, source="github:a/b") if item.attack == "espeak" else item for item in items], data)
    voice_model.save(voice_model.build(SETTINGS["model"], seed=0), tmp_path / "out/written")
    with pytest.raises(ValueError, match="without github:a/b nothing is left to learn from"):
        voice.train(SETTINGS, data, tmp_path / "out", ["github:a/b"])


def test_a_source_that_there_is_not_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no item of the train split is of github:a/c"):
        voice.train(SETTINGS, data, tmp_path / "out", ["github:a/c"])


@pytest.mark.slow
def test_without_a_source_nothing_is_kept_of_a_training_that_had_it(data: Path, tmp_path: Path) -> None:
    items = manifest.read(data)
    spoken = next(item for item in items if item.attack == "espeak" and item.split == "train")
    manifest.write([*items, replace(spoken, source="github:a/b", subject="trainw")], data)
    voice_model.save(voice_model.build(SETTINGS["model"], seed=0), tmp_path / "out/written")
    settings = {**SETTINGS, "training": SETTINGS["training"] | {"steps": 0, "heard_fours": 6}}
    everything = voice.train(settings, data, tmp_path / "out")
    less = voice.train(settings, data, tmp_path / "out", ["github:a/b"])
    heads = [WavLMForStatistics.from_pretrained(folder).classifier.weight for folder in (everything, less)]
    assert not torch.equal(*heads)
    assert voice.train(settings, data, tmp_path / "out", ["github:a/b"]) == less
    with pytest.raises(ValueError, match="with another seed"):
        voice.train(settings | {"seed": 2}, data, tmp_path / "out")


def test_an_earlier_models_layers_are_the_first_ones(tmp_path: Path) -> None:
    torch.manual_seed(3)
    earlier = WavLMForSequenceClassification(voice_model.config(SETTINGS["model"]))
    earlier.save_pretrained(tmp_path / "earlier")
    begun = voice_model.continued(SETTINGS["model"], tmp_path / "earlier", seed=1)
    found = begun.wavlm.state_dict()
    assert all(torch.equal(weight, found[name]) for name, weight in earlier.wavlm.state_dict().items())


def test_without_steps_the_earlier_score_alone_is_kept_in_the_head(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    earlier = WavLMForSequenceClassification(voice_model.config(SETTINGS["model"]))
    earlier.train(False)
    earlier.save_pretrained(tmp_path / "earlier")
    settings = {
        **SETTINGS,
        "model": SETTINGS["model"] | {"silence_gate": 0.0},
        "training": SETTINGS["training"] | {"steps": 0, "earlier_share": 1.0},
    }
    folder = voice.train(settings, data, tmp_path / "out", first=tmp_path / "earlier")
    made = WavLMForStatistics.from_pretrained(folder, dtype=torch.float32)
    made.train(False)
    with torch.inference_mode():
        samples = torch.randn(3, WINDOW)
        expected, found = (model(samples).logits for model in (earlier, made))
    # The untrained rest of the head is small, and weights lie in half precision.
    torch.testing.assert_close(found[:, 1] - found[:, 0], expected[:, 1] - expected[:, 0], atol=0.05, rtol=0.05)

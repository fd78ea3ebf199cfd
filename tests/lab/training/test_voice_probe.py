"""A regression on what a frozen model hears: fitted without a site, judged on it, and written as a head."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WavLMConfig, WavLMForSequenceClassification

from lab.training import voice_model
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW, load, save
from lab.training.voice_probe import FOLDS, Windows, chosen, heard, table, with_regression
from lab.training.voice_windows import normalise
from models.statistics_wavlm import WavLMForStatistics

SETTINGS = {"hidden_size": 384, "num_hidden_layers": 1, "num_attention_heads": 6, "intermediate_size": 64,
            "classifier_proj_size": 8, "silence_gate": 0.0}  # fmt: skip
SITES = ["github:x/e1tts.github.io", "github:x/Matcha-TTS", "github:x/mimic3-voices", "debian:espeak-ng"]


@pytest.fixture(scope="module")
def model() -> WavLMForSequenceClassification:
    torch.manual_seed(0)
    made = WavLMForSequenceClassification(WavLMConfig(**voice_model.config(SETTINGS).to_dict()))
    made.train(False)
    return made


@pytest.fixture(scope="module")
def windows(model: WavLMForSequenceClassification, tmp_path_factory: pytest.TempPathFactory) -> Windows:
    folder, rng = tmp_path_factory.mktemp("probe"), np.random.default_rng(0)
    items = []
    for number, source in enumerate([*SITES, *SITES, "github:x/Resemblyzer"]):
        for attack in ("-", f"system {number}"):
            split = "dev" if number in (7, 8) else "train"
            path = folder / f"{number}{attack}.wav"
            save(
                np.asarray(rng.normal(0, 0.1, WINDOW) * (1 if attack == "-" else np.hanning(WINDOW)), np.float32), path
            )
            label = "bonafide" if attack == "-" else "spoof"
            items.append(Item(path, label, f"s{number}{attack}", source, "CC0", attack, split))  # type: ignore[arg-type]
    return heard(model, chosen(items), gate=0.0)


def test_old_windows_are_recorded_and_others_taken_as_they_are(windows: Windows) -> None:
    for item, clean in zip(windows.items, windows.clean, strict=True):
        assert clean == (item.split == "dev" or item.source.startswith("github:"))
    assert windows.seen.shape == (len(windows.items), 4 * 384 + 3 * 128)


def test_every_fold_has_a_figure(windows: Windows) -> None:
    rows = table(windows, 384, ridge=0.03)
    assert len(rows) == 2 + 1 + 2 * 4
    assert all(row.count("%") == len(FOLDS) + 1 for row in rows[2:])


def test_the_regression_as_a_head_gives_its_scores(
    model: WavLMForSequenceClassification, windows: Windows, tmp_path: Path
) -> None:
    voice_model.save(with_regression(model, windows, ridge=0.03), tmp_path / "made")
    made = WavLMForStatistics.from_pretrained(tmp_path / "made", dtype=torch.float32)
    made.train(False)
    learned = [index for index, item in enumerate(windows.items) if item.split == "train"]
    with torch.inference_mode():
        scores = []
        for index in learned:
            if windows.clean[index]:
                samples = torch.from_numpy(normalise(load(windows.items[index].path)))[None]
                logits = made(samples).logits[0]
                scores.append((windows.spoof[index], float(logits[1] - logits[0])))
    truth, found = np.array(scores).T
    # What it was fitted to, it tells apart.
    assert found[truth == 1].min() > found[truth == 0].max()

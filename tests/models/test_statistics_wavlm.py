"""The WavLM that is judged by statistics: served like any checkpoint, and its figures are the plain ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import read_checkpoint
from models.classifier import load_classifier
from models.errors import CheckpointMismatch
from models.statistics_wavlm import WavLMForStatistics, statistics
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import TINY_WAVE, options, save_voice, windows
from tests.models.test_voice_model import BATCH_TOLERANCE, ENGINES, TOLERANCE

TINY = TINY_WAVE | {"conv_dim": [18, 16, 16], "conv_kernel": [400, 3, 3], "conv_stride": [160, 1, 2],
                    "feat_extract_norm": "layer", "spectral_filters": 4, "silence_gate": 0.03}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_voice(
        tmp_path_factory.mktemp("statistics") / "model",
        ["bonafide", "spoof"],
        normalize=True,
        model_class=WavLMForStatistics,
        **TINY,
    )


def test_statistics_are_those_of_counting() -> None:
    spectrum = torch.randn(3, 54, 5, generator=torch.Generator().manual_seed(0))
    front, states = torch.randn(2, 3, 25, 7, generator=torch.Generator().manual_seed(1)) * 4 + 2
    found = statistics(front, states, spectrum, gate=0.0)
    parts = torch.tensor_split(found, [7, 14, 21, 28, 33, 38], 1)
    expected = [each(values) for values in (front, states, spectrum) for each in (_mean, _deviation)]
    expected.append(torch.sqrt(spectrum.diff(dim=1).square().sum(1) / 54))
    for got, wanted in zip(parts, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)
    assert torch.isfinite(statistics(front[:, :1], states[:, :1], spectrum[:, :5], gate=0.1)).all()


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.mean(1)


def _deviation(values: torch.Tensor) -> torch.Tensor:
    return values.std(1, correction=0)


def test_pauses_do_not_count() -> None:
    spectrum = torch.randn(1, 104, 5, generator=torch.Generator().manual_seed(0))
    front = torch.randn(1, 50, 7, generator=torch.Generator().manual_seed(1))
    spectrum[:, :44], front[:, :21] = -14.0, 9.0
    without = statistics(front[:, 21:], front[:, 21:], spectrum[:, 42:], gate=0.03)
    torch.testing.assert_close(statistics(front, front, spectrum, gate=0.03), without, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("engine", "precision"), ENGINES)
def test_engines_agree_with_the_module(folder: Path, workspace: Path, engine: str, precision: str) -> None:
    detector = VoiceSpoofModel.load(str(folder), options(workspace, engine=engine, precision=precision))
    assert detector.info.architecture == "WavLMForStatistics"
    model = WavLMForStatistics.from_pretrained(folder)
    model.train(False)
    for samples in (64_000, 12_345):
        items = windows(samples)
        values = torch.from_numpy(np.stack(items)).float() / 32768
        values = (values - values.mean(1, keepdim=True)) / torch.sqrt(values.var(1, keepdim=True, correction=0) + 1e-7)
        with torch.inference_mode():
            expected = model(values).logits.softmax(1)[:, 1].numpy()
        scores = detector.score(items)
        np.testing.assert_allclose(scores, expected, atol=TOLERANCE[precision])
        alone = np.concatenate([detector.score([item]) for item in items])
        np.testing.assert_allclose(scores, alone, atol=BATCH_TOLERANCE[precision])
    assert expected.std() > 0.02


@pytest.mark.parametrize("missing", ["centre", "projector.weight"])
def test_weights_that_do_not_fill_it_are_refused(folder: Path, tmp_path: Path, missing: str) -> None:
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for path in folder.iterdir():
        (spoilt / path.name).write_bytes(path.read_bytes())
    weights = load_file(spoilt / "model.safetensors")
    del weights[missing]
    save_file(weights, spoilt / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointMismatch, match=f"1 missing: {missing}"):
        load_classifier(read_checkpoint(spoilt), "voice")


def test_the_same_folder_without_its_class_is_transformers_own_and_does_not_fit(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in folder.iterdir():
        (plain / path.name).write_bytes(path.read_bytes())
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps(config | {"architectures": ["WavLMForSequenceClassification"]}))
    with pytest.raises(CheckpointMismatch, match="2 unexpected: centre, spread"):
        load_classifier(read_checkpoint(plain), "voice")


def test_labels_give_a_loss_to_train_with(folder: Path) -> None:
    model = WavLMForStatistics.from_pretrained(folder)
    values, truth = torch.randn(2, 16_000), torch.tensor([0, 1])
    output = model(values, labels=truth)
    assert output.loss is not None
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, truth))
    torch.autograd.backward(output.loss)
    assert model.projector.weight.grad is not None

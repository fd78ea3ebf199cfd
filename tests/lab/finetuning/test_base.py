"""What a fine-tuning begins with: classes, heads, preparation, and bases that are refused."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageClassification, Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

from lab.finetuning.base import open_base
from models.errors import AmbiguousLabels, CheckpointMismatch, UnsupportedModel
from models.labels import spoof_rule
from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE, options, save_face, save_voice
from tests.models.feature_checkpoints import save_features_voice


def bare_wavlm(folder: Path) -> Path:
    """A pre-trained body without a head or class names, as microsoft/wavlm-base is published."""
    torch.manual_seed(0)
    WavLMModel(WavLMConfig(**TINY_WAVE)).save_pretrained(folder)
    extractor: Any = Wav2Vec2FeatureExtractor
    extractor(do_normalize=False, return_attention_mask=True).save_pretrained(folder)
    return folder


def test_a_body_gets_a_head_and_usual_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lab.finetuning")
    base = open_base(str(bare_wavlm(tmp_path / "body")), "voice", options(tmp_path))
    assert (base.labels, base.spoof, base.keeps_classes) == (("bonafide", "spoof"), 1, False)
    model = base.classifier()
    assert model.config.id2label == {0: "bonafide", 1: "spoof"}
    body = WavLMModel.from_pretrained(tmp_path / "body")
    for name, weight in body.state_dict().items():
        torch.testing.assert_close(model.base_model.state_dict()[name], weight)
    assert "a new head" in caplog.text


def test_a_detector_keeps_its_head_and_the_order_of_its_classes(tmp_path: Path) -> None:
    folder = save_face(tmp_path / "flipped", ["spoof", "live"], **TINY_DINOV2)
    base = open_base(str(folder), "face", options(tmp_path))
    assert (base.labels, base.spoof, base.keeps_classes) == (("spoof", "live"), 0, True)
    model, saved = base.classifier(), AutoModelForImageClassification.from_pretrained(folder)
    torch.testing.assert_close(model.state_dict(), saved.state_dict())
    assert base.geometry is not None
    assert base.geometry.height == 56


@pytest.mark.parametrize("labels", [["LABEL_0", "LABEL_1"], ["cat", "dog", "live"]])
def test_a_head_for_other_classes_is_forgotten(labels: list[str], tmp_path: Path) -> None:
    folder = save_face(tmp_path / "other", labels, **TINY_DINOV2)
    base = open_base(str(folder), "face", options(tmp_path))
    assert (base.labels, base.spoof) == (("live", "spoof"), 1)
    model: Any = base.classifier()
    saved = AutoModelForImageClassification.from_pretrained(folder)
    assert model.config.id2label == {0: "live", 1: "spoof"}
    assert model.classifier.weight.shape[0] == 2
    assert not torch.isin(model.classifier.weight, saved.classifier.weight).any()
    torch.testing.assert_close(model.base_model.state_dict(), saved.base_model.state_dict())


def test_a_named_spoof_label_keeps_the_head(tmp_path: Path) -> None:
    folder = save_voice(tmp_path / "nameless", ["LABEL_0", "LABEL_1"], **TINY_WAVE)
    base = open_base(str(folder), "voice", options(tmp_path, spoof_label="label_0"))
    assert (base.labels, base.spoof, base.keeps_classes) == (("spoof", "bonafide"), 0, True)
    with pytest.raises(AmbiguousLabels, match="elephant"):
        open_base(str(folder), "voice", options(tmp_path, spoof_label="elephant"))


@pytest.mark.parametrize(
    ("names", "label", "labels", "spoof"),
    [
        (["fake", "real"], "real", ("live", "spoof"), 1),
        (["Realism", "Deepfake"], "Realism", ("spoof", "live"), 0),
        (["Realism", "Deepfake"], "not Realism", ("Realism", "Deepfake"), 1),
        (["fake", "real"], "0", ("fake", "real"), 0),
        (["0", "1"], "not 1", ("spoof", "live"), 0),
    ],
)
def test_names_that_a_label_contradicts_are_not_passed_on(
    names: list[str], label: str, labels: tuple[str, ...], spoof: int, tmp_path: Path
) -> None:
    """Whoever serves the result reads which class is spoof from its names alone."""
    folder = save_face(tmp_path / "base", names, **TINY_DINOV2)
    base = open_base(str(folder), "face", options(tmp_path, spoof_label=label))
    assert (base.labels, base.spoof, base.keeps_classes) == (labels, spoof, True)
    assert spoof_rule(dict(enumerate(base.labels))).index == spoof
    model, saved = base.classifier(), AutoModelForImageClassification.from_pretrained(folder)
    torch.testing.assert_close(model.state_dict(), saved.state_dict())
    assert model.config.id2label == dict(enumerate(labels))


def test_the_version_follows_the_classes(tmp_path: Path) -> None:
    folder = save_voice(tmp_path / "voice", ["LABEL_0", "LABEL_1"], **TINY_WAVE)
    versions = {open_base(str(folder), "voice", options(tmp_path, spoof_label=label)).version for label in ("0", "1")}
    assert len(versions) == 2


def test_a_truncated_body_is_refused(tmp_path: Path, tiny_voice: Path) -> None:
    folder = shutil.copytree(tiny_voice, tmp_path / "truncated")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(CheckpointMismatch, match="missing"):
        open_base(str(folder), "voice", options(tmp_path)).classifier()


def test_a_model_on_features_is_refused(tmp_path: Path) -> None:
    folder = save_features_voice(tmp_path / "m", "whisper")
    with pytest.raises(UnsupportedModel, match="can be served and calibrated, but is not fine-tuned here"):
        open_base(str(folder), "voice", options(tmp_path))


def test_a_pth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.pth").write_bytes(b"")
    with pytest.raises(UnsupportedModel, match="not fine-tuned"):
        open_base(str(tmp_path / "old.pth"), "voice", options(tmp_path))

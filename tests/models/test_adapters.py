"""LoRA adapters, merged at conversion: against merges computed here, and those that are refused."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from transformers import ViTConfig, ViTForImageClassification, Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from lab.finetuning.base import open_base
from models.adapters import read_adapter
from models.catalog import find_member
from models.conversion import convert_model
from models.errors import AmbiguousLabels, CheckpointMismatch, ModelError, ModelUnavailable, UnsupportedModel
from models.face_model import FaceSpoofModel
from models.tasks import guess_task
from models.voice_model import VoiceSpoofModel
from tests.models.adapter_files import Arrays, head, random_pairs, save_adapter
from tests.models.checkpoints import (
    TINY_WAVE,
    TWO_LAYERS,
    apply,
    names,
    options,
    photos,
    save_face,
    save_voice,
    windows,
)
from tests.models.hub_server import serve_hub

ROOT = Path(__file__).parents[2]
_Q = "wavlm.encoder.layers.0.attention.q_proj"
_V = "wavlm.encoder.layers.1.attention.v_proj"
_CONV = "wavlm.feature_extractor.conv_layers.1.conv"


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-trained body without a head, as microsoft/wavlm-base is published."""
    folder = tmp_path_factory.mktemp("adapters") / "wavlm-body"
    torch.manual_seed(0)
    WavLMModel(WavLMConfig(**TINY_WAVE | TWO_LAYERS)).save_pretrained(folder)
    extractor: Any = Wav2Vec2FeatureExtractor
    extractor(do_normalize=False, return_attention_mask=True).save_pretrained(folder)
    return folder


def merged(folder: Path, body: Path, differences: Mapping[str, NDArray[np.float32]], brought: Arrays) -> Path:
    """A checkpoint of the body with these differences added to its weights, and this head."""
    shutil.copytree(body, folder)
    state = {f"wavlm.{key}": value for key, value in load_file(folder / "model.safetensors").items()}
    for name, difference in differences.items():
        state[f"{name}.weight"] = state[f"{name}.weight"] + difference
    save_file({**state, **brought}, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["WavLMForSequenceClassification"], **names(["real", "fake"])}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


_LINEAR = ((4, 32), (32, 4))
_CASES: dict[str, tuple[dict[str, Any], dict[str, tuple[Any, Any]], dict[str, float]]] = {
    "alpha over rank": ({}, {_Q: _LINEAR, _V: _LINEAR}, {_Q: 2.0, _V: 2.0}),
    "rank-stabilised": ({"use_rslora": True}, {_Q: _LINEAR}, {_Q: 4.0}),
    "patterns": (
        {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"layers.1.attention.v_proj": 3, "roj": 100}},
        {_Q: _LINEAR, _V: ((2, 32), (32, 2))},
        {_Q: 2.0, _V: 1.5},
    ),
    "a convolution": ({}, {_CONV: ((4, 16, 2), (16, 4, 1))}, {_CONV: 2.0}),
}


@pytest.mark.parametrize("case", _CASES)
def test_scores_are_those_of_the_merged_model(case: str, body: Path, tmp_path: Path) -> None:
    config, shapes, scales = _CASES[case]
    pairs = random_pairs(**shapes)
    differences = {
        module: scale * np.einsum("or,r...->o...", _b(pairs, module), pairs[f"{module}.lora_A.weight"])
        for module, scale in scales.items()
    }
    folder = save_adapter(tmp_path / "lora", body, {**pairs, **head()}, **config)
    plain, known, other = (
        VoiceSpoofModel.load(str(each), options(tmp_path, engine="torch", precision="fp32", spoof_label="1"))
        for each in (
            folder,
            merged(tmp_path / "merged", body, differences, head()),
            merged(tmp_path / "body", body, {}, head()),
        )
    )
    expected = known.score(windows(16_000))
    assert np.abs(expected - other.score(windows(16_000))).max() > 5e-4, "the adapter must matter"
    np.testing.assert_allclose(plain.score(windows(16_000)), expected, atol=2e-6)
    assert plain.info.architecture == "wavlm with a LoRA adapter"
    assert plain.info.name == "lora"


def _b(pairs: Arrays, module: str) -> NDArray[np.float32]:
    b = pairs[f"{module}.lora_B.weight"]
    return b.reshape(b.shape[:2])


def test_wrappers_in_keys_are_removed(body: Path, tmp_path: Path) -> None:
    pairs = random_pairs(**{_Q: _LINEAR})
    wrapped = {f"{name.split('.')[0]}.modules_to_save.{name.split('.')[1]}": value for name, value in head().items()}
    bias = {f"{_Q}.base_layer.bias": np.ones(32, np.float32), "classifier.original_module.bias": np.ones(2, np.float32)}
    first = save_adapter(tmp_path / "first", body, {**pairs, **wrapped, **bias}, bias="lora_only")
    second = save_adapter(tmp_path / "second", body, {**pairs, **head(), f"{_Q}.bias": np.ones(32, np.float32)})
    third = save_adapter(tmp_path / "third", body, {**pairs, **head()})
    scores = [
        VoiceSpoofModel.load(str(each), options(tmp_path, engine="torch", precision="fp32", spoof_label="1")).score(
            windows(16_000)
        )
        for each in (first, second, third)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[1] != scores[2]).any()


def test_names_of_older_releases_of_transformers(tmp_path: Path) -> None:
    size: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    processor = ViTImageProcessorPil(size={"height": 32, "width": 32})
    base = save_face(
        tmp_path / "vit",
        ["Real", "Fake"],
        processor=processor,
        model_class=ViTForImageClassification,
        config_class=ViTConfig,
        image_size=32,
        patch_size=8,
        **size,
    )
    pairs = random_pairs(**{"vit.encoder.layer.1.attention.attention.query": _LINEAR})
    a, b = (torch.from_numpy(value) for value in pairs.values())
    model: Any = ViTForImageClassification.from_pretrained(base)
    before = model.vit.layers[1].attention.q_proj.weight
    with torch.no_grad():
        before.add_(2.0 * b @ a)
    model.save_pretrained(tmp_path / "merged")
    processor.save_pretrained(tmp_path / "merged")
    adapter = save_adapter(tmp_path / "lora", base, pairs)
    detectors = [
        FaceSpoofModel.load(str(each), options(tmp_path, engine="torch", precision="fp32"))
        for each in (adapter, tmp_path / "merged", base)
    ]
    assert detectors[0].info.labels == ("Real", "Fake"), "the base's head, and its names"
    assert guess_task(str(adapter), options(tmp_path)) == "face"
    given = [apply(detectors[0].info.geometry, photo) for photo in photos() if detectors[0].info.geometry]
    scores = [detector.score(given) for detector in detectors]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)
    assert np.abs(scores[0] - scores[2]).max() > 0.01


def test_classes_of_a_head_of_its_own_have_no_names_unless_the_adapter_says_them(tmp_path: Path) -> None:
    base = save_voice(tmp_path / "base", ["bonafide", "spoof"], **TINY_WAVE)
    adapter = save_adapter(tmp_path / "lora", "../base", {**random_pairs(**{_Q: _LINEAR}), **head(3)})
    with pytest.raises(AmbiguousLabels, match=r"LABEL_2.*BONAFIDE_VOICE_SPOOF_LABEL"):
        VoiceSpoofModel.load(str(adapter), options(tmp_path))
    config = json.loads((base / "config.json").read_text())
    (adapter / "config.json").write_text(json.dumps({**config, **names(["tts", "human", "vocoder"])}))
    detector = VoiceSpoofModel.load(str(adapter), options(tmp_path, engine="torch"))
    assert (detector.info.labels, detector.info.spoof_index) == (("tts", "human", "vocoder"), None)
    (adapter / "config.json").write_text(json.dumps({**config, "model_type": "hubert"}))
    with pytest.raises(CheckpointMismatch, match="is of a hubert model, and its base is a wavlm"):
        VoiceSpoofModel.load(str(adapter), options(tmp_path))


def test_the_version_changes_with_each_part(body: Path, tmp_path: Path) -> None:
    pairs = random_pairs(**{_Q: _LINEAR})
    chosen = options(tmp_path, engine="torch", spoof_label="1")
    folders = [
        save_adapter(tmp_path / "a", body, {**pairs, **head()}),
        save_adapter(tmp_path / "b", body, {**pairs, **head()}, lora_alpha=9),
        save_adapter(
            tmp_path / "c", body, {**{name: (value / 2).astype(np.float32) for name, value in pairs.items()}, **head()}
        ),
    ]
    assert len({VoiceSpoofModel.load(str(folder), chosen).info.version for folder in folders}) == 3


@pytest.mark.usefixtures("kept_speech")
def test_a_converted_adapter_serves_without_torch_or_its_base(body: Path, workspace: Path, tmp_path: Path) -> None:
    base = shutil.copytree(body, tmp_path / "base")
    adapter = save_adapter(tmp_path / "lora", base, {**random_pairs(**{_Q: _LINEAR}), **head()})
    chosen = options(workspace, engine="openvino", precision="fp32", spoof_label="1")
    expected = VoiceSpoofModel.load(str(adapter), chosen).score(windows())
    look = "import sys; from models.catalog import find_model; from pathlib import Path\n"
    look += "find_model(sys.argv[1], 'voice', Path('none')); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look, str(adapter)], cwd=ROOT, check=False).returncode == 0
    convert_model(str(adapter), "voice", chosen, tmp_path / "out")
    shutil.rmtree(base)
    np.testing.assert_array_equal(VoiceSpoofModel.load(str(tmp_path / "out"), chosen).score(windows()), expected)


def test_an_adapter_and_its_base_of_the_hub(body: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = save_adapter(tmp_path / "lora", "org/base", {**random_pairs(**{_Q: _LINEAR}), **head()})
    chosen = options(tmp_path, engine="torch", spoof_label="1")
    with serve_hub(adapter, "org/lora") as hub:
        program = (
            "import sys; from pathlib import Path; from models.hub import saved_model\n"
            "saved_model('org/lora', 'main', Path(sys.argv[1]), offline=False)"
        )
        subprocess.run(
            [sys.executable, "-c", program, str(chosen.models_dir)],
            cwd=ROOT,
            env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf")},
            check=True,
        )
    with pytest.raises(ModelUnavailable, match="is an adapter for 'org/base', and that is not found"):
        VoiceSpoofModel.load("org/lora", options(tmp_path, spoof_label="1", offline=True))
    shutil.copytree(body, chosen.models_dir / "hub/org--base/main")
    detector = VoiceSpoofModel.load("org/lora", options(tmp_path, engine="torch", spoof_label="1", offline=True))
    assert detector.info.name == "org/lora"


@pytest.mark.parametrize(
    ("config", "error", "sentence"),
    [
        ({"use_dora": True}, UnsupportedModel, "is a DoRA adapter.*merge_and_unload"),
        ({"peft_type": "IA3"}, UnsupportedModel, "kind 'IA3'.*merge_and_unload"),
        ({"init_lora_weights": "pissa"}, UnsupportedModel, "'pissa', which changes its base"),
        ({"lora_bias": True}, UnsupportedModel, "sets lora_bias"),
        ({"layer_replication": [[0, 2]]}, UnsupportedModel, "sets layer_replication"),
        ({"something_new": {"x": 1}}, UnsupportedModel, "sets something_new"),
        ({"base_model_name_or_path": None}, UnsupportedModel, "names no base_model_name_or_path"),
        ({"base_model_name_or_path": "nowhere/at/all"}, ModelUnavailable, "is an adapter for 'nowhere/at/all'"),
        ({"alpha_pattern": {"(a+)+$": 3}}, UnsupportedModel, "has the pattern"),
        ({"base_model_name_or_path": "a" * 300}, UnsupportedModel, "names no base_model_name_or_path"),
        ({"rank_pattern": ["v_proj"]}, UnsupportedModel, "where patterns should be"),
        ({"r": 8}, CheckpointMismatch, "has rank 8, and its tensors have 4"),
        ({"lora_alpha": "8"}, UnsupportedModel, "lora_alpha is '8'"),
    ],
)
def test_adapters_that_are_not_merged(
    config: dict[str, Any], error: type[ModelError], sentence: str, body: Path, tmp_path: Path
) -> None:
    adapter = save_adapter(tmp_path / "lora", body, {**random_pairs(**{_Q: _LINEAR}), **head()}, **config)
    with pytest.raises(error, match=sentence):
        VoiceSpoofModel.load(str(adapter), options(tmp_path, offline=True, spoof_label="1"))


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({f"{_Q}.lora_A.weight": np.zeros((4, 32), np.float32)}, "lacks lora_A or lora_B of wavlm"),
        ({}, "lacks lora_A or lora_B of all"),
        (random_pairs(**{"hubert.encoder.q": _LINEAR}), "changes hubert.encoder.q.weight, which its base"),
        (random_pairs(**{_Q: ((4, 16), (32, 4))}), r"is \(32, 32\) there, and \(32, 16\) in the adapter"),
        (random_pairs(**{_Q: ((4, 32), (32, 5))}), "differ"),
        (random_pairs(**{_Q: _LINEAR}) | {"classifier.weight": np.zeros((2, 9), np.float32)}, r"\(2, 9\)"),
        (random_pairs(**{_Q: _LINEAR}), "keys 4 missing: classifier.*modules_to_save"),
        (random_pairs(**{_Q: ((0, 32), (32, 0))}), "no matrix"),
    ],
)
def test_adapters_that_do_not_fit(tensors: Arrays, sentence: str, body: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "lora", body, tensors)
    with pytest.raises(CheckpointMismatch, match=sentence):
        VoiceSpoofModel.load(str(adapter), options(tmp_path, engine="torch", spoof_label="1"))


def test_other_tensors_of_lora_are_named(body: Path, tmp_path: Path) -> None:
    magnitude = {f"{_Q}.lora_magnitude_vector.weight": np.zeros(32, np.float32)}
    adapter = save_adapter(tmp_path / "lora", body, {**random_pairs(**{_Q: _LINEAR}), **magnitude})
    with pytest.raises(UnsupportedModel, match=r"lora_magnitude_vector.*merge_and_unload"):
        read_adapter(adapter)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, (10).to_bytes(8, "little") + b"[1, 2, 3]", b"\0" * 8])
def test_broken_weights(content: bytes, body: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "lora", body, random_pairs(**{_Q: _LINEAR}))
    (adapter / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointMismatch, match="cannot be read"):
        read_adapter(adapter)


def test_a_member_of_an_ensemble_may_be_an_adapter(body: Path, tmp_path: Path) -> None:
    save_adapter(tmp_path / "lora", body, random_pairs(**{_Q: _LINEAR}))
    (tmp_path / "ensemble").mkdir()
    found = find_member("../lora", tmp_path / "ensemble", "voice", tmp_path / "none")
    assert (found.name, found.base) == ("lora", body)


def test_an_adapter_beside_a_model_is_refused(body: Path, tmp_path: Path) -> None:
    both = shutil.copytree(body, tmp_path / "both")
    save_adapter(both, body, random_pairs(**{_Q: _LINEAR}))
    with pytest.raises(UnsupportedModel, match="only one of both"):
        VoiceSpoofModel.load(str(both), options(tmp_path))


def test_an_adapter_for_an_adapter_is_refused(body: Path, tmp_path: Path) -> None:
    first = save_adapter(tmp_path / "first", body, random_pairs(**{_Q: _LINEAR}))
    second = save_adapter(tmp_path / "second", first, random_pairs(**{_Q: _LINEAR}))
    with pytest.raises(UnsupportedModel, match="no checkpoint in transformers format"):
        VoiceSpoofModel.load(str(second), options(tmp_path))


def test_an_adapter_is_not_fine_tuned(body: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "lora", body, random_pairs(**{_Q: _LINEAR}))
    with pytest.raises(UnsupportedModel, match="not fine-tuned"):
        open_base(str(adapter), "voice", options(tmp_path))

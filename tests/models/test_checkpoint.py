import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

from models.checkpoint import fingerprint, read_checkpoint
from models.classifier import load_classifier
from models.errors import AmbiguousLabels, CheckpointMismatch, UnsupportedModel
from models.labels import SpoofRule

Tensors = dict[str, torch.Tensor]
SPOOF_LAST = SpoofRule(1)


@pytest.fixture
def folder(tiny_voice: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(tiny_voice, tmp_path / "spoilt"))


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _edit_weights(folder: Path, change: Callable[[Tensors], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _version(folder: Path, rule: SpoofRule = SPOOF_LAST) -> str:
    checkpoint = read_checkpoint(folder)
    return fingerprint(checkpoint.weights, {"c": checkpoint.config, "p": checkpoint.processor}, rule)


class TestFingerprint:
    def test_is_12_hex_digits_of_content_alone(self, folder: Path, tiny_voice: Path) -> None:
        assert _version(folder) == _version(tiny_voice)
        assert len(_version(folder)) == 12
        int(_version(folder), 16)

    def test_changes_with_one_bit_of_the_weights(self, folder: Path, tiny_voice: Path) -> None:
        content = bytearray((folder / "model.safetensors").read_bytes())
        content[-1] ^= 1
        (folder / "model.safetensors").write_bytes(content)
        assert _version(folder) != _version(tiny_voice)

    def test_changes_with_labels_preprocessing_and_rule(self, folder: Path, tiny_voice: Path) -> None:
        versions = {_version(tiny_voice), _version(tiny_voice, SpoofRule(0)), _version(tiny_voice, SpoofRule(1, True))}
        _edit(folder / "preprocessor_config.json", do_normalize=True)
        versions.add(_version(folder))
        _edit(folder / "config.json", id2label={"0": "spoof", "1": "bonafide"})
        versions.add(_version(folder))
        assert len(versions) == 5


class TestLabels:
    def test_from_the_config(self, folder: Path) -> None:
        assert read_checkpoint(folder).id2label == {0: "bonafide", 1: "spoof"}

    @pytest.mark.parametrize("given", [{"id2label": None}, {"id2label": {}}, {"id2label": None, "num_labels": 2}])
    def test_without_names(self, folder: Path, given: dict[str, Any]) -> None:
        _edit(folder / "config.json", **given)
        assert read_checkpoint(folder).id2label == {0: "LABEL_0", 1: "LABEL_1"}

    @pytest.mark.parametrize("count", [0, -1, 10**9, "2", 2.5])
    def test_a_number_of_classes_that_cannot_be_is_refused(self, folder: Path, count: object) -> None:
        _edit(folder / "config.json", id2label=None, num_labels=count)
        with pytest.raises(AmbiguousLabels, match="classes without names"):
            _ = read_checkpoint(folder).id2label

    @pytest.mark.parametrize(
        ("given", "stated"),
        [
            ({"num_labels": 1}, "num_labels of the checkpoint is 1"),
            ({"num_labels": 3}, "num_labels of the checkpoint is 3"),
            ({"id2label": None, "label_names": ["a", "b"], "num_classes": 1, "pretrained_cfg": {}}, "num_classes of"),
        ],
    )
    def test_another_number_of_classes_than_of_names_is_refused(
        self, folder: Path, given: dict[str, Any], stated: str
    ) -> None:
        """Transformers would build the head by the number: a single logit meant what the first name says."""
        _edit(folder / "config.json", **given)
        with pytest.raises(AmbiguousLabels, match=rf"{stated}.* names 2 classes"):
            _ = read_checkpoint(folder).id2label

    def test_the_number_of_names_may_be_stated(self, folder: Path) -> None:
        _edit(folder / "config.json", num_labels=2)
        assert read_checkpoint(folder).id2label == {0: "bonafide", 1: "spoof"}

    @pytest.mark.parametrize("label2id", [{"spoof": 0, "bonafide": 1}, {"Spoof": "0", " BonaFide": "1"}])
    def test_two_orders_in_one_config_are_refused(self, folder: Path, label2id: dict[str, Any]) -> None:
        _edit(folder / "config.json", label2id=label2id)
        with pytest.raises(AmbiguousLabels, match="contradict each other"):
            _ = read_checkpoint(folder).id2label

    @pytest.mark.parametrize(
        "given",
        [
            *({"id2label": each} for each in (["bonafide", "spoof"], True, {"a": "spoof"}, {"0": "x", "00": "spoof"})),
            *({"label2id": each} for each in (["spoof"], {"0": "spoof"}, {"spoof": None}, {"spoof": 1.5})),
            {"id2label": None, "label_names": True, "pretrained_cfg": {}},
        ],
    )
    def test_classes_without_numbers_are_refused_in_a_sentence(self, folder: Path, given: dict[str, Any]) -> None:
        _edit(folder / "config.json", **given)
        with pytest.raises(AmbiguousLabels, match=r"correct its config\.json"):
            _ = read_checkpoint(folder).id2label

    def test_two_lists_of_names_in_one_config_are_refused(self, folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(path.read_text().rstrip().removesuffix("}") + ', "id2label": {"0": "spoof", "1": "bonafide"}}')
        with pytest.raises(UnsupportedModel, match="'id2label' more than once"):
            read_checkpoint(folder)


class TestFiles:
    def test_the_processor_may_lie_in_the_newer_file(self, folder: Path) -> None:
        processor = json.loads((folder / "preprocessor_config.json").read_text())
        (folder / "preprocessor_config.json").unlink()
        (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": processor}))
        assert read_checkpoint(folder).processor == processor

    @pytest.mark.parametrize("part", ["feature_extractor", "audio_processor"])
    def test_of_two_processor_files_that_counts_which_transformers_takes(
        self, folder: Path, part: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        older = json.loads((folder / "preprocessor_config.json").read_text())
        assert older["do_normalize"] is False
        newer = {**older, "do_normalize": True}
        (folder / "processor_config.json").write_text(json.dumps({part: newer, "processor_class": "Wav2Vec2Processor"}))
        taken: Any = Wav2Vec2FeatureExtractor
        assert taken.from_pretrained(folder).do_normalize is True
        checkpoint = read_checkpoint(folder)
        assert (checkpoint.processor, checkpoint.overruled) == (newer, ("do_normalize",))
        assert "processor_config.json states others" in caplog.text

    def test_a_processor_file_without_the_part_leaves_the_older_one_in_force(self, folder: Path) -> None:
        older = json.loads((folder / "preprocessor_config.json").read_text())
        (folder / "processor_config.json").write_text(json.dumps({"processor_class": "Wav2Vec2Processor"}))
        checkpoint = read_checkpoint(folder)
        assert (checkpoint.processor, checkpoint.overruled) == (older, ())

    def test_two_processor_files_that_agree_are_not_worth_a_word(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        older = json.loads((folder / "preprocessor_config.json").read_text())
        newer = {**older, "feature_extractor_type": "Wav2Vec2FeatureExtractor", "more": 1}
        (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": newer}))
        assert read_checkpoint(folder).overruled == ()
        assert not caplog.text

    def test_without_a_processor_the_familys_usual_one_is_taken_and_said(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert not read_checkpoint(folder).assumed_processor
        (folder / "preprocessor_config.json").unlink()
        checkpoint = read_checkpoint(folder)
        assert checkpoint.assumed_processor
        assert checkpoint.processor["do_normalize"] is False
        assert "without preprocessor_config.json" in caplog.text

    def test_an_empty_processor_file_is_not_a_missing_one(self, folder: Path) -> None:
        (folder / "preprocessor_config.json").write_text("{}")
        assert not read_checkpoint(folder).assumed_processor

    @pytest.mark.parametrize("name", ["preprocessor_config.json", "model.safetensors", "config.json"])
    def test_a_missing_file_is_named(self, folder: Path, name: str) -> None:
        _edit(folder / "config.json", model_type="pvt")  # a family without a usual processor
        (folder / name).unlink()
        with pytest.raises(UnsupportedModel, match=name):
            read_checkpoint(folder)

    @pytest.mark.parametrize("content", ["", "{", "[1]", "\x00", "[" * 100_000])
    def test_a_broken_description_is_named(self, folder: Path, content: str) -> None:
        (folder / "config.json").write_text(content)
        with pytest.raises(UnsupportedModel, match=r"config\.json of spoilt"):
            read_checkpoint(folder)


class TestWeights:
    def test_load_complete(self, tiny_voice: Path) -> None:
        model = load_classifier(read_checkpoint(tiny_voice), "voice")
        assert not model.training
        saved = load_file(tiny_voice / "model.safetensors")
        torch.testing.assert_close(model.get_parameter("classifier.weight"), saved["classifier.weight"])

    def test_half_precision_weights_are_computed_in_fp32(self, folder: Path) -> None:
        _edit_weights(folder, lambda tensors: tensors.update({key: value.half() for key, value in tensors.items()}))
        assert load_classifier(read_checkpoint(folder), "voice").dtype == torch.float32

    @pytest.mark.parametrize("dtype", [torch.int8, torch.complex64])
    def test_weights_that_a_cast_would_make_others_of_are_refused(self, folder: Path, dtype: torch.dtype) -> None:
        _edit_weights(
            folder, lambda tensors: tensors.update({"projector.weight": tensors["projector.weight"].to(dtype)})
        )
        with pytest.raises(CheckpointMismatch, match=r"projector\.weight as whole or complex numbers"):
            load_classifier(read_checkpoint(folder), "voice")
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        with pytest.raises(CheckpointMismatch, match=r"projector\.weight as whole or complex numbers"):
            load_classifier(read_checkpoint(folder), "voice")

    def test_a_quantized_checkpoint_is_refused_by_its_name(self, folder: Path) -> None:
        _edit(folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
        with pytest.raises(UnsupportedModel, match=r"quantization_config, .*bitsandbytes"):
            read_checkpoint(folder)

    def test_missing_keys_are_named_not_made_up(self, folder: Path) -> None:
        _edit_weights(folder, lambda tensors: tensors.pop("classifier.weight"))
        with pytest.raises(CheckpointMismatch, match=r"1 missing: classifier\.weight"):
            load_classifier(read_checkpoint(folder), "voice")

    def test_unexpected_keys_are_named(self, folder: Path) -> None:
        _edit_weights(folder, lambda tensors: tensors.update({f"head.{n}": torch.zeros(1) for n in range(13)}))
        with pytest.raises(CheckpointMismatch, match=r"13 unexpected: head\.0, .* and 3 more"):
            load_classifier(read_checkpoint(folder), "voice")

    @pytest.mark.parametrize("mask", ["wavlm.masked_spec_embed"])
    def test_a_mask_of_training_may_be_missing(self, folder: Path, mask: str) -> None:
        _edit_weights(folder, lambda tensors: tensors.pop(mask))
        load_classifier(read_checkpoint(folder), "voice")

    def test_leftovers_of_pretraining_do_no_harm(self, folder: Path) -> None:
        _edit_weights(folder, lambda tensors: tensors.update({"quantizer.codevectors": torch.zeros(1)}))
        load_classifier(read_checkpoint(folder), "voice")

    def test_other_shapes_are_named(self, folder: Path) -> None:
        _edit_weights(folder, lambda tensors: tensors.update({"classifier.bias": torch.zeros(5)}))
        with pytest.raises(CheckpointMismatch, match=r"1 of another shape: classifier\.bias"):
            load_classifier(read_checkpoint(folder), "voice")

    def test_a_backbone_without_a_head_is_refused(self, tiny_voice: Path, folder: Path) -> None:
        WavLMModel(WavLMConfig.from_pretrained(tiny_voice)).save_pretrained(folder)
        with pytest.raises(CheckpointMismatch, match=r"missing: classifier\.bias, classifier\.weight"):
            load_classifier(read_checkpoint(folder), "voice")

    @pytest.mark.parametrize("keep", [0, 7, 1000, -1])
    def test_a_torn_file_is_refused(self, folder: Path, keep: int) -> None:
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[:keep])
        with pytest.raises(CheckpointMismatch, match="cannot be read"):
            load_classifier(read_checkpoint(folder), "voice")

    def test_pickled_weights_load_as_tensors_only(self, folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(tensors, folder / "pytorch_model.bin")
        load_classifier(read_checkpoint(folder), "voice")

    def test_pickled_code_is_never_run(self, folder: Path, tmp_path: Path) -> None:
        (folder / "model.safetensors").unlink()
        torch.save({"x": Touch(tmp_path / "ran")}, folder / "pytorch_model.bin")
        with pytest.raises(CheckpointMismatch, match="more than tensors"):
            load_classifier(read_checkpoint(folder), "voice")
        assert not (tmp_path / "ran").exists()

    def test_code_beside_the_weights_is_never_run(self, folder: Path, tmp_path: Path) -> None:
        (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        _edit(
            folder / "config.json",
            model_type="own",
            auto_map={"AutoConfig": "own.C", "AutoModelForAudioClassification": "own.M"},
        )
        with pytest.raises(UnsupportedModel):
            load_classifier(read_checkpoint(folder), "voice")
        assert not (tmp_path / "ran").exists()


class Touch:
    """Creates a file when it is unpickled, as an attacker's code would."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("named", [5, "WavLMForSequenceClassification", [], {"a": 1}])
def test_what_is_no_list_of_architectures_names_none(folder: Path, named: Any) -> None:
    _edit(folder / "config.json", architectures=named)
    checkpoint = read_checkpoint(folder)
    assert checkpoint.architecture == "wavlm"
    assert load_classifier(checkpoint, "voice").config.num_labels == 2

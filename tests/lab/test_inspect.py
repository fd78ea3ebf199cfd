"""Facts of models that can be served, and advice instead of tracebacks for those that cannot."""

import json
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
from rich.console import Console
from transformers import AutoModelForAudioClassification, AutoModelForImageClassification

from lab import inspection
from lab.inspect import main, show
from lab.inspection import inspect
from lab.weight_facts import weight_facts
from models.calibration import Calibration, calibration_path, write_calibration
from models.catalog import find_model
from models.conversion import convert_model
from models.detectors import load_detector
from models.face_model import FaceSpoofModel
from tests.models.adapter_files import head, random_pairs, save_adapter
from tests.models.checkpoints import options
from tests.models.feature_checkpoints import save_features_voice
from tests.models.onnx_files import (
    ensemble_manifest,
    face_manifest,
    face_onnx,
    save,
    save_ensemble,
    voice_manifest,
    voice_onnx,
)

pytestmark = pytest.mark.usefixtures("models_in_workspace", "timed_once")


@pytest.fixture
def timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes each time from one run instead of several: no test looks at how long anything takes."""
    monkeypatch.setattr(inspection, "_REPEATS", 1)


def test_a_voice_model(tiny_voice: Path, workspace: Path) -> None:
    found = inspect(str(tiny_voice), "voice", options(workspace, threads=1))
    model = AutoModelForAudioClassification.from_pretrained(tiny_voice)
    assert found.parameters == sum(value.numel() for value in model.state_dict().values())
    assert found.spoof == "1: spoof"
    assert found.licence is None
    assert all(0 < cost < 10_000 for cost in (*found.item_ms, found.core_ms or 0))
    assert found.speech_core_ms is None or 0 < found.speech_core_ms < 10_000
    assert any("not calibrated" in sentence for sentence in found.advice)
    assert any("no licence" in sentence for sentence in found.advice)


def test_a_calibrated_face_model_with_a_card(
    tiny_face: Path, workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_face, tmp_path / "face")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags: [a]\n---\n# Card\n")
    version = FaceSpoofModel.load(str(folder), options(workspace, threads=1)).info.version
    write_calibration(Calibration(1.0, 0.0, 0.25, version), calibration_path(folder))
    found = inspect(str(folder), "face", options(workspace, threads=1))
    model = AutoModelForImageClassification.from_pretrained(folder)
    assert found.parameters == sum(value.numel() for value in model.state_dict().values())
    assert (found.licence, found.advice, found.speech_core_ms) == ("apache-2.0", (), None)
    show(found, Console())
    shown = capsys.readouterr().out
    for text in ("0: live, 1: spoof", "56 x 56 pixels", "apache-2.0", "0.25, calibrated", "ms of CPU time per photo"):
        assert text in shown


def test_a_converted_model(tiny_face: Path, workspace: Path, tmp_path: Path) -> None:
    convert_model(str(tiny_face), "face", options(workspace), tmp_path / "converted")
    checkpoint = inspect(str(tiny_face), "face", options(workspace, engine="openvino"))
    found = inspect(str(tmp_path / "converted"), "face", options(workspace))
    assert (found.parameters, found.spoof) == (checkpoint.parameters, checkpoint.spoof)
    assert found.info.version == checkpoint.info.version
    assert not any("pickled" in sentence for sentence in found.advice)


def test_a_voice_model_on_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_features_voice(tmp_path / "tiny-ast", "ast")
    (folder / "preprocessor_config.json").unlink()
    main([str(folder)])
    shown = capsys.readouterr().out
    for text in ("ASTForAudioClassification", "1: fake", "windows of 64000 samples", "ms per window of 4 s"):
        assert text in shown
    assert "mean -4.2677393" in shown.replace("\n", " "), "what was assumed is told"


def test_an_adapter(
    tiny_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "wavlm.encoder.layers.0.attention.q_proj"
    tensors = {**random_pairs(**{module: ((4, 32), (32, 4))}), **head()}
    folder = save_adapter(tmp_path / "lora", tiny_voice, tensors)
    with pytest.raises(SystemExit):
        main([str(folder)])
    assert "set BONAFIDE_VOICE_SPOOF_LABEL" in capsys.readouterr().out
    monkeypatch.setenv("BONAFIDE_VOICE_SPOOF_LABEL", "not 0")
    main([str(folder)])
    shown = capsys.readouterr().out
    for text in ("wavlm with a LoRA adapter", "1: LABEL_1", "not stated"):
        assert text in shown


def test_an_onnx_voice_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save(tmp_path / "onnx", voice_onnx(), voice_manifest())
    main([str(folder)])
    shown = capsys.readouterr().out
    for text in ("tiny-voice@1", "windows of 64600 samples", "0: spoof, 1: bona fide", "MIT", "ms per window of 4 s"):
        assert text in shown
    assert "pickled" not in shown


def test_a_threshold_of_the_settings_is_told_as_the_one_that_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "onnx", face_onnx(), face_manifest())
    monkeypatch.setenv("BONAFIDE_FACE_THRESHOLD", "0.9")
    main([str(folder)])
    shown = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "threshold 0.9 by BONAFIDE_FACE_THRESHOLD; without it 0.5, not calibrated" in shown
    assert "is its threshold" not in shown


def test_an_onnx_face_model(workspace: Path, tmp_path: Path) -> None:
    folder = save(tmp_path / "onnx", face_onnx(), face_manifest())
    found = inspect(str(folder), "face", options(workspace, threads=1))
    assert (found.spoof, found.parameters, found.licence) == ("0: fake, 2: fake", 9, "MIT")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_of_one_thread_is_not_loaded_again_for_one_core(threads: int, workspace: Path, tmp_path: Path) -> None:
    folder = save(tmp_path / "onnx", face_onnx(), face_manifest())
    with patch.object(inspection, "load_detector", wraps=load_detector) as loading:
        assert inspect(str(folder), "face", options(workspace, threads=threads)).core_ms is not None
    assert [call.args[2].threads for call in loading.call_args_list] == list(range(threads, 0, -1))


def test_a_broken_manifest_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save(tmp_path / "onnx", voice_onnx(), voice_manifest(output={"spoof": 2}))
    with pytest.raises(SystemExit) as caught:
        main([str(folder)])
    assert caught.value.code == 1
    shown = capsys.readouterr().out
    assert "BadManifest" in shown
    assert "output.spoof: of 2 classes, [2] cannot mean spoof" in shown


def test_an_assumed_preparation_is_told(tiny_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(tiny_face, tmp_path / "face")
    (folder / "preprocessor_config.json").unlink()
    main([str(folder)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "224 x 224 pixels, shorter side resized to 256" in shown
    assert "no preprocessor_config.json, so its input is prepared as is usual in its family" in shown


def test_a_preparation_that_is_stated_twice_is_told(
    tiny_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_face, tmp_path / "face")
    older = json.loads((folder / "preprocessor_config.json").read_text())
    newer = {**older, "crop_size": {"height": 42, "width": 42}}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": newer}))
    main([str(folder)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "42 x 42 pixels" in shown
    assert "its preprocessor_config.json says otherwise of crop_size" in shown


def broken(folder: Path, tiny_face: Path, change: dict[str, object]) -> Path:
    copy = shutil.copytree(tiny_face, folder / "broken")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    return copy


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}},
         ["AmbiguousLabels", "BONAFIDE_FACE_SPOOF_LABEL", "authors"]),
        ({"num_hidden_layers": 3}, ["CheckpointMismatch", "missing", "get them again"]),
        ({"model_type": "bert"}, ["UnsupportedModel", "cannot be served as it is"]),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_explained(
    change: dict[str, object], messages: list[str], tiny_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(broken(tmp_path, tiny_face, change)), "--task", "face"])
    assert stopped.value.code == 1
    captured = capsys.readouterr()
    for message in messages:
        assert message in captured.out
    assert "Traceback" not in captured.out + captured.err


def test_nothing_there_and_nothing_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["no/such-model", "--offline"])
    assert stopped.value.code == 1
    assert "cannot be served: ModelUnavailable" in capsys.readouterr().out


def test_a_checkpoint_that_does_not_say_what_it_is_for(
    tiny_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_face, tmp_path / "face")
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(SystemExit) as stopped:
        main([str(folder)])
    assert stopped.value.code == 2
    assert "--task" in capsys.readouterr().err


@pytest.mark.slow
def test_both_bundled_models(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BONAFIDE_MODELS_DIR")  # where other tests of them keep them converted
    main(["bundled"])
    shown = capsys.readouterr().out
    for text in ("bonafide-voice-demo", "times real time", "bonafide-face-demo", "per photo", "apache-2.0"):
        assert text in shown


def test_an_ensemble_with_its_members_and_all_licences(
    tiny_voice: Path, workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "pair" / "onnx", voice_onnx(), voice_manifest())
    weighted = {"rule": "log_odds", "weights": [0.5, 1.5], "intercept": 0.0}
    members = ["onnx", {"model": str(tiny_voice), "name": "tiny"}]
    pair = save_ensemble(tmp_path / "pair", ensemble_manifest("voice", members, fusion=weighted))
    found = inspect(str(pair), "voice", options(workspace, threads=1))
    single = [find_model(str(each), "voice", workspace, offline=True) for each in (pair / "onnx", tiny_voice)]
    assert found.parameters == sum(weight_facts(each, "voice", options(workspace)).parameters for each in single)
    assert found.licence == "onnx: MIT, tiny: not stated"
    assert "Its member tiny states no licence: ask its authors before you serve it." in found.advice
    assert not any("Its model card" in sentence for sentence in found.advice)
    show(found, Console())
    shown = " ".join(capsys.readouterr().out.split())
    for text in ("pair-voice@1", "weighted log odds of 2 models", "weight 1.5", "those of its members"):
        assert text in shown


def test_an_ensemble_of_photos_says_what_each_member_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a", face_onnx(), face_manifest(name="a"))
    save(tmp_path / "b", face_onnx(), face_manifest(name="b", input={"face_factor": 4.0}))
    main([str(save_ensemble(tmp_path / "pair", ensemble_manifest("face", ["../a", "../b"])))])
    shown = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "the face's box times 2.7, resized to 24 x 16; 24 x 16 pixels, the face's box times 4" in shown
    assert "MIT" in shown

"""Converted folders: the same scores as their checkpoints, without torch, and refusals of all that is not whole."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import catalog, voice_model
from models.calibration import Calibration, calibration_path, write_calibration
from models.catalog import find_model
from models.configured import WindowScorer
from models.conversion import FolderTaken, convert_model, convert_speech
from models.converted import DESCRIPTION, SPEECH, read_converted
from models.devices import cpu_has_bf16
from models.errors import CheckpointMismatch, EngineUnavailable, ModelError, UnsupportedModel
from models.face_model import FaceSpoofModel
from models.info import ModelInfo
from models.voice_model import VoiceSpoofModel
from scripts.local_service import ROOT
from tests.models.checkpoints import TINY_WAVE, apply, options, photos, random_pooled, save_voice, windows
from tests.models.onnx_files import face_manifest, face_onnx, save

pytestmark = pytest.mark.usefixtures("kept_speech")
PRECISIONS = ["fp32", *(["bf16"] if cpu_has_bf16() else [])]


@pytest.fixture(scope="module")
def converted_voice(tiny_voice: Path, workspace: Path) -> Path:
    convert_model(str(tiny_voice), "voice", options(workspace), workspace / "converted" / "voice")
    return workspace / "converted" / "voice"


@pytest.fixture(scope="module")
def converted_face(tiny_face: Path, workspace: Path) -> Path:
    convert_model(str(tiny_face), "face", options(workspace), workspace / "converted" / "face")
    return workspace / "converted" / "face"


def same_but_for_its_place(converted: ModelInfo, checkpoint: ModelInfo) -> bool:
    return replace(converted, reference=checkpoint.reference, local_path=checkpoint.local_path) == checkpoint


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_voice_is_scored_as_from_its_checkpoint(
    tiny_voice: Path, converted_voice: Path, workspace: Path, precision: str
) -> None:
    chosen = options(workspace, engine="openvino", precision=precision)
    checkpoint, converted = (VoiceSpoofModel.load(str(each), chosen) for each in (tiny_voice, converted_voice))
    items = [*windows(), *windows(16_000), np.zeros(100, np.int16)]
    np.testing.assert_array_equal(converted.score(items), checkpoint.score(items))
    assert same_but_for_its_place(converted.info, checkpoint.info)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_face_is_scored_as_from_its_checkpoint(
    tiny_face: Path, converted_face: Path, workspace: Path, precision: str
) -> None:
    chosen = options(workspace, engine="openvino", precision=precision)
    checkpoint, converted = (FaceSpoofModel.load(str(each), chosen) for each in (tiny_face, converted_face))
    assert converted.info.geometry is not None
    items = [apply(converted.info.geometry, photo) for photo in photos()]
    np.testing.assert_array_equal(converted.score(items), checkpoint.score(items))
    assert same_but_for_its_place(converted.info, checkpoint.info)


def test_a_pth_file_with_its_calibration(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_pooled(**TINY_WAVE)
    monkeypatch.setattr(voice_model._PthVoice, "config", model.wavlm.config.to_dict())
    torch.save(model.state_dict(), tmp_path / "chk.pth")
    version = VoiceSpoofModel.load(str(tmp_path / "chk.pth"), options(workspace, engine="openvino")).info.version
    write_calibration(Calibration(2.0, 0.5, 0.25, version), calibration_path(tmp_path / "chk.pth"))
    convert_model(str(tmp_path / "chk.pth"), "voice", options(workspace), tmp_path / "out")
    checkpoint = VoiceSpoofModel.load(str(tmp_path / "chk.pth"), options(workspace, engine="openvino"))
    (tmp_path / "chk.pth").unlink()
    converted = VoiceSpoofModel.load(str(tmp_path / "out"), options(workspace))
    np.testing.assert_array_equal(converted.score(windows(16_000)), checkpoint.score(windows(16_000)))
    assert same_but_for_its_place(converted.info, checkpoint.info)
    assert (converted.info.calibrated, converted.info.threshold) == (True, 0.25)
    with pytest.raises(UnsupportedModel, match="single logit"):
        VoiceSpoofModel.load(str(tmp_path / "out"), options(workspace, spoof_label="1"))


def test_a_kept_folder_tells_of_a_newer_calibration_beside_the_checkpoint(
    tiny_face: Path, workspace: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, out = shutil.copytree(tiny_face, tmp_path / "face"), tmp_path / "out"

    def told() -> str:
        caplog.clear()
        convert_model(str(folder), "face", options(workspace), out)
        return caplog.text

    assert told() == ""
    version = read_converted(out).version
    write_calibration(Calibration(1.0, 0.0, 0.25, version), calibration_path(folder))
    assert "is kept with no calibration, which is not that beside the model" in told()
    shutil.copyfile(calibration_path(folder), calibration_path(out))
    assert told() == ""
    write_calibration(Calibration(1.0, 0.0, 0.75, version), calibration_path(folder))
    assert "is kept with its own calibration" in told()


SCORE = """\
import json, sys
sys.modules.update(dict.fromkeys(("torch", "transformers", "safetensors")))  # importing them raises
import numpy
from pathlib import Path
from models.configured import PhotoScorer, WindowScorer
from models.errors import ModelError
from models.options import LoadOptions
for task, reference, items, folder, engine in json.loads(sys.argv[1]):
    chosen = LoadOptions(Path(folder) / "m", Path(folder) / "compiled", engine, "fp32", threads=1)
    try:
        model = (WindowScorer if task == "voice" else PhotoScorer).load(reference, chosen)
    except ModelError as error:
        print(json.dumps(f"{type(error).__name__}: {error}"))
    else:
        found = model.score(list(numpy.load(items)))
        print(json.dumps([list(map(float, each[:2] if task == "voice" else each[:1])) for each in found]))
"""
WITHOUT_TORCH = {
    "voice": ("voice", "converted_voice", "auto"),
    "face": ("face", "converted_face", "auto"),
    "voice checkpoint": ("voice", "tiny_voice", "auto"),
    "face checkpoint": ("face", "tiny_face", "auto"),
    "face by torch": ("face", "tiny_face", "torch"),
}
"""Models to load: the task, where the model is, and the engine that is wanted."""


@pytest.fixture(scope="module")
def without_torch(
    request: pytest.FixtureRequest, converted_face: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What a runner would answer, in an interpreter that cannot import torch, transformers or safetensors.

    Scores of `windows` and of `pictures`, or the sentence of a refusal; and which of them began to convert. One
    interpreter loads all: it takes longer to start than they do.
    """
    folder = tmp_path_factory.mktemp("without-torch")
    items: dict[str, list[NDArray[Any]]] = {"voice": [*windows()], "face": [*pictures(converted_face)]}
    asked = [
        (task, request.getfixturevalue(fixture), items[task], folder / name, engine)
        for name, (task, fixture, engine) in WITHOUT_TORCH.items()
    ]
    answers = dict(zip(WITHOUT_TORCH, answers_without_torch(*asked), strict=True))
    return {**answers, "converting": [path.parent.name for path in folder.glob("*/compiled")]}


def answers_without_torch(*asked: tuple[str, Path, list[NDArray[Any]], Path, str]) -> list[Any]:
    """Scores of items, or the sentence of a refusal, for each task, model, items, new folder and engine."""
    calls = []
    for task, reference, items, folder, engine in asked:
        folder.mkdir()
        np.save(folder / "items.npy", np.stack(items))
        calls.append((task, str(reference), str(folder / "items.npy"), str(folder), engine))
    command = [sys.executable, "-c", SCORE, json.dumps(calls)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def pictures(converted: Path) -> list[NDArray[np.uint8]]:
    """Photos as the converted model takes them."""
    geometry = read_converted(converted).geometry
    assert geometry is not None
    return [apply(geometry, photo) for photo in photos()]


def test_a_converted_voice_needs_no_torch(
    without_torch: dict[str, Any], converted_voice: Path, workspace: Path
) -> None:
    """Its detector of speech included: nothing was converted on this machine before."""
    expected = WindowScorer.load(str(converted_voice), options(workspace, precision="fp32")).score(windows())
    found = np.array(without_torch["voice"], np.float32)
    np.testing.assert_allclose(found, [(each.score, each.speech_ratio) for each in expected], atol=1e-6)
    assert "voice" not in without_torch["converting"]


def test_a_converted_face_needs_no_torch(without_torch: dict[str, Any], converted_face: Path, workspace: Path) -> None:
    model = FaceSpoofModel.load(str(converted_face), options(workspace, precision="fp32"))
    expected = model.score(pictures(converted_face))
    np.testing.assert_allclose(np.array(without_torch["face"], np.float32)[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("task", ["voice", "face"])
def test_without_torch_a_checkpoint_is_refused_with_the_way_out(without_torch: dict[str, Any], task: str) -> None:
    sentence = without_torch[f"{task} checkpoint"]
    assert sentence.startswith(f"NotConverted: tiny-{task} is not converted, and torch")
    assert "`python -m models.convert REFERENCE --out FOLDER`" in sentence
    assert "the cuda image" in sentence
    assert f"BONAFIDE_{task.upper()}_MODEL" in sentence


def test_without_torch_the_torch_engine_is_refused_in_a_sentence(without_torch: dict[str, Any]) -> None:
    sentence = without_torch["face by torch"]
    assert sentence.startswith("EngineUnavailable: tiny-face would need torch, which is not installed here")


def test_its_speech_detector_is_the_installation_s(converted_voice: Path, workspace: Path, tmp_path: Path) -> None:
    mine, theirs = (read_converted(converted_voice / SPEECH), convert_speech(options(workspace), tmp_path / "speech"))
    assert (mine.task, mine.version) == ("speech", theirs.version)
    scorer = WindowScorer.load(str(converted_voice), options(workspace))
    assert scorer.info.speech_version == mine.version


def test_the_bundled_model_stays_a_demonstration(
    tiny_face: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a small one in the place of the bundled one, whose conversion takes seconds."""
    bundled = shutil.copytree(tiny_face, tmp_path / "bundled" / "face")
    monkeypatch.setattr(catalog, "BUNDLED", bundled.parent)
    version = FaceSpoofModel.load("bundled", options(workspace)).info.version
    write_calibration(Calibration(2.0, 0.5, 0.25, version), calibration_path(bundled))
    (bundled / "README.md").write_text("its licence")
    convert_model("bundled", "face", options(workspace), tmp_path / "out")
    files = find_model(str(tmp_path / "out"), "face", tmp_path)
    assert (files.name, files.demo, files.is_converted) == ("bonafide-face-demo", True, True)
    assert FaceSpoofModel.load(str(tmp_path / "out"), options(tmp_path)).info.calibrated
    assert (tmp_path / "out/README.md").read_text() == "its licence"


def test_the_spoof_label_is_settled_at_conversion(tmp_path: Path, workspace: Path) -> None:
    folder = save_voice(tmp_path / "unnamed", ["a", "b"], **TINY_WAVE)
    with pytest.raises(ModelError, match="cannot tell which class means spoof"):
        convert_model(str(folder), "voice", options(workspace), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    expected = VoiceSpoofModel.load(str(folder), options(workspace, engine="openvino", spoof_label="0"))
    convert_model(str(folder), "voice", options(workspace, spoof_label="a"), tmp_path / "out")
    for spoof_label in (None, "a", "0"):
        model = VoiceSpoofModel.load(str(tmp_path / "out"), options(workspace, spoof_label=spoof_label))
        assert (model.info.spoof_index, model.info.version) == (0, expected.info.version)
    np.testing.assert_array_equal(model.score(windows()), expected.score(windows()))
    with pytest.raises(UnsupportedModel, match=r"BONAFIDE_VOICE_SPOOF_LABEL='b' is not the class .* converted for"):
        VoiceSpoofModel.load(str(tmp_path / "out"), options(workspace, spoof_label="b"))


def test_torch_does_not_run_it(converted_face: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="converted for OpenVINO; use auto, or give its checkpoint"):
        FaceSpoofModel.load(str(converted_face), options(tmp_path, engine="torch"))


def test_it_is_of_one_task(converted_face: Path, converted_voice: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="holds a converted face model, and a voice model is needed"):
        VoiceSpoofModel.load(str(converted_face), options(tmp_path))
    with pytest.raises(UnsupportedModel, match="holds a converted speech model, and a voice model is needed"):
        VoiceSpoofModel.load(str(converted_voice / SPEECH), options(tmp_path))


def test_it_is_not_converted_twice(converted_face: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="is converted already"):
        convert_model(str(converted_face), "face", options(tmp_path), tmp_path / "out")


def test_an_onnx_model_needs_no_conversion(tmp_path: Path) -> None:
    folder = save(tmp_path / "onnx", face_onnx(), face_manifest())
    with pytest.raises(UnsupportedModel, match="starts without torch: serve it as it is"):
        convert_model(str(folder), "face", options(tmp_path), tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 2}, "has format 2, and this release reads 1"),
        ({"format": None}, "has format None"),
        ({"task": "smell"}, "does not describe a model: task"),
        ({"rule": {"index": 2}}, "names class 2, which it does not have"),
        ({"rule": {"index": "spoof"}}, r"does not describe a model: rule\.index"),
        ({"geometry": None}, "and a face model is needed"),
        ({"version": 7}, "does not describe a model: version"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    change: dict[str, object], why: str, converted_face: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(converted_face, tmp_path / "face")
    content = json.loads((folder / DESCRIPTION).read_text()) | change
    (folder / DESCRIPTION).write_text(json.dumps(content))
    with pytest.raises(UnsupportedModel, match=why):
        FaceSpoofModel.load(str(folder), options(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"format": 1}', b"[" * 100_000])
def test_a_description_that_is_none_is_refused(content: bytes, converted_face: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(converted_face, tmp_path / "face")
    (folder / DESCRIPTION).write_bytes(content)
    with pytest.raises(UnsupportedModel, match=r"converted\.json"):
        FaceSpoofModel.load(str(folder), options(tmp_path))


@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "other"])
def test_a_graph_that_is_not_whole_is_refused(name: str, damage: str, converted_face: Path, tmp_path: Path) -> None:
    path = shutil.copytree(converted_face, tmp_path / "face") / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[:-10] + (b"" if damage == "truncated" else bytes(10)))
    with pytest.raises(CheckpointMismatch, match="convert the checkpoint again"):
        FaceSpoofModel.load(str(path.parent), options(tmp_path))


def test_what_is_there_already_is_kept_or_refused_never_replaced(
    tiny_face: Path, converted_face: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(converted_face, tmp_path / "face")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    found = convert_model(str(tiny_face), "face", options(tmp_path), folder)
    assert found == read_converted(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    with pytest.raises(FolderTaken, match=r"holds tiny-face .* of another checkpoint, another spoof label"):
        convert_model(str(tiny_face), "face", options(tmp_path, spoof_label="live"), folder)
    (tmp_path / "file").touch()
    with pytest.raises(FolderTaken, match="is a file"):
        convert_model(str(tiny_face), "face", options(tmp_path), tmp_path / "file")
    with pytest.raises(FolderTaken, match="holds something else"):
        convert_model(str(tiny_face), "face", options(tmp_path), tiny_face)

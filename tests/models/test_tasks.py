from pathlib import Path

from models.conversion import convert_model
from models.tasks import guess_task
from tests.models.checkpoints import options
from tests.models.onnx_files import (
    ensemble_manifest,
    face_manifest,
    face_onnx,
    save,
    save_ensemble,
    voice_manifest,
    voice_onnx,
)


def test_the_task_is_told_from_the_checkpoint(tiny_voice: Path, tiny_face: Path, tmp_path: Path) -> None:
    assert guess_task(str(tiny_voice), options(tmp_path)) == "voice"
    assert guess_task(str(tiny_face), options(tmp_path)) == "face"
    assert guess_task("bundled", options(tmp_path)) is None


def test_a_converted_folder_keeps_its_task(tiny_face: Path, tmp_path: Path) -> None:
    convert_model(str(tiny_face), "face", options(tmp_path), tmp_path / "out")
    assert guess_task(str(tmp_path / "out"), options(tmp_path)) == "face"


def test_a_manifest_states_its_task(tmp_path: Path) -> None:
    save(tmp_path / "voice", voice_onnx(), voice_manifest())
    save(tmp_path / "face", face_onnx(), face_manifest())
    assert [guess_task(str(tmp_path / task), options(tmp_path)) for task in ("voice", "face")] == ["voice", "face"]
    pair = save_ensemble(tmp_path / "pair", ensemble_manifest("face", ["not", "looked for"]))
    assert guess_task(str(pair), options(tmp_path)) == "face"

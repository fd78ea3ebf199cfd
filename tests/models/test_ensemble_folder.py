"""An ensemble in one folder: the same scores as from members that lay anywhere, without torch."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.calibration import Calibration, calibration_path, write_calibration
from models.conversion import convert_model
from models.convert import main
from models.detectors import load_detector
from models.info import ModelInfo
from tests.models.checkpoints import options, windows
from tests.models.onnx_files import ensemble_manifest, save, save_ensemble, voice_manifest, voice_onnx
from tests.models.test_conversion import answers_without_torch

pytestmark = pytest.mark.usefixtures("kept_speech", "models_in_workspace")


@pytest.fixture(scope="module")
def pair(tiny_voice: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX model beside a checkpoint that lies elsewhere, with a calibration of weights."""
    folder = tmp_path_factory.mktemp("ensemble") / "pair"
    save(folder / "onnx", voice_onnx(), voice_manifest(window={"samples": 24_000}))
    (folder / "README.md").write_text("Two.\n")
    (folder / "onnx" / "notes.txt").write_text("not needed\n")
    members = ["onnx", {"model": str(tiny_voice), "name": "tiny", "spoof_label": "1"}]
    save_ensemble(folder, ensemble_manifest("voice", members))
    version = load_detector(str(folder), "voice", options(workspace)).info.version
    write_calibration(Calibration(1.0, 0.1, 0.4, version, weights=(0.5, 0.25)), calibration_path(folder))
    return folder


@pytest.fixture
def ensemble(pair: Path, tmp_path: Path) -> Path:
    """A copy of `pair`, to be changed."""
    return shutil.copytree(pair, tmp_path / "pair")


def facts(info: ModelInfo) -> tuple[object, ...]:
    return info.name, info.version, info.threshold, [(each.name, each.version, each.weight) for each in info.members]


def test_it_is_written_once_and_serves_the_same_scores(
    ensemble: Path, workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = options(workspace, engine="openvino", precision="fp32")
    before = load_detector(str(ensemble), "voice", chosen)
    scores = before.judge(windows())
    out = tmp_path / "out"
    assert main([str(ensemble), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert told == f"{out}: pair-voice 1, 2 members; serve it with BONAFIDE_VOICE_MODEL={out}\n"
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and path.name[0] != "."}
    assert {"bonafide.json", "calibration.json", "README.md", "speech/converted.json"} < written
    assert {"member-1/model.onnx", "member-1/bonafide.json", "member-2/converted.json"} < written
    assert "member-1/notes.txt" not in written
    moved = shutil.move(out, tmp_path / "elsewhere")
    after = load_detector(str(moved), "voice", chosen)
    assert facts(after.info) == facts(before.info)
    found = after.judge(windows())
    np.testing.assert_allclose(found.members, scores.members, atol=1e-6)
    np.testing.assert_allclose(found.scores, scores.scores, atol=1e-6)
    (told_there,) = answers_without_torch(("voice", Path(moved), windows(), tmp_path / "there", "auto"))
    np.testing.assert_allclose(np.array(told_there, np.float32)[:, 0], scores.scores, atol=1e-5)
    assert main([str(ensemble), "--out", str(moved)]) == 0, "once more, as each start of a pod does"


def test_a_conversion_that_was_stopped_is_completed(ensemble: Path, workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([str(ensemble), "--out", str(out)]) == 0
    (out / "bonafide.json").unlink()
    shutil.rmtree(out / "member-1")
    assert main([str(ensemble), "--out", str(out)]) == 0
    load_detector(str(out), "voice", options(workspace))


def test_a_folder_of_something_else_is_left_alone(
    ensemble: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert main([str(ensemble), "--out", str(out)]) == 1
    assert "holds something else" in capsys.readouterr().err
    (out / "mine.txt").unlink()
    assert main([str(ensemble), "--out", str(out)]) == 0
    save_ensemble(ensemble, json.loads((ensemble / "bonafide.json").read_text()) | {"version": "2"})
    assert main([str(ensemble), "--out", str(out)]) == 1
    assert "holds something else" in capsys.readouterr().err


@pytest.mark.parametrize(("member", "label"), [("onnx", "0"), ("converted", "bonafide")])
def test_a_label_that_a_member_does_not_take_is_refused_before_it_is_forgotten(
    ensemble: Path,
    workspace: Path,
    tmp_path: Path,
    tiny_voice: Path,
    member: str,
    label: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    convert_model(str(tiny_voice), "voice", options(workspace), ensemble / "converted")
    labelled = [{"model": name, "spoof_label": label if name == member else None} for name in ("onnx", "converted")]
    save_ensemble(ensemble, ensemble_manifest("voice", labelled))
    assert main([str(ensemble), "--out", str(tmp_path / "out")]) == 1
    assert f"member {member!r}: " in (said := capsys.readouterr().err)
    assert "unset it" in said
    assert not (tmp_path / "out" / "bonafide.json").exists()


def test_another_model_in_a_members_place_is_told(
    ensemble: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    save(out / "member-1", voice_onnx(weights=np.ones((1, 2), np.float32)), voice_manifest())
    assert main([str(ensemble), "--out", str(out)]) == 1
    assert "member 'onnx': " in (said := capsys.readouterr().err)
    assert "holds another model" in said
    assert not (out / "bonafide.json").exists()

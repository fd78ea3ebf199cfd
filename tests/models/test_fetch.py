"""`python -m models.fetch`: all that a service would look for on the hub is there afterwards."""

import sys
from pathlib import Path

import pytest

from models.fetch import main
from tests.models.onnx_files import ensemble_manifest, face_manifest, face_onnx, save, save_ensemble

pytestmark = pytest.mark.usefixtures("own_models_folder")


def fetched(task: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["models.fetch", task])
    return main()


def test_the_members_of_an_ensemble_are_fetched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        save(tmp_path / "pair" / name, face_onnx(), face_manifest(name=name))
    monkeypatch.setenv("BONAFIDE_FACE_MODEL", str(tmp_path / "pair"))
    monkeypatch.setenv("BONAFIDE_OFFLINE", "1")
    save_ensemble(tmp_path / "pair", ensemble_manifest("face", ["a", "b"]))
    assert fetched("face", monkeypatch) == 0
    folders = [tmp_path / "pair", tmp_path / "pair" / "a", tmp_path / "pair" / "b"]
    assert capsys.readouterr().out.splitlines() == [f"{each.name}: {each}" for each in folders]
    save_ensemble(tmp_path / "pair", ensemble_manifest("face", ["a", "org/name"]))
    assert fetched("face", monkeypatch) == 1
    assert "member 'org/name': org/name is not saved" in capsys.readouterr().err

"""Models and service meet in three files only, so that each can be understood, and changed, without the other."""

import ast
from pathlib import Path

import pytest

from models.configured import reference_of, settings_for

ROOT = Path(__file__).parents[2]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_models_know_the_service_in_two_files_and_the_service_knows_no_models() -> None:
    meeting = {path.relative_to(ROOT) for path in (ROOT / "models").rglob("*.py") if "bonafide" in imported(path)}
    assert meeting == {Path("models/configured.py"), Path("models/served.py")}
    assert not [path for path in (ROOT / "bonafide").rglob("*.py") if "models" in imported(path)]


def test_settings_come_from_the_service_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_ENGINE", "torch")
    monkeypatch.setenv("BONAFIDE_FACE_SPOOF_LABEL", "2")
    assert settings_for("face").engine == "torch"
    given = settings_for("voice", engine="openvino", spoof_label="fake")
    assert (given.engine, given.voice_spoof_label, given.face_spoof_label) == ("openvino", "fake", "2")
    assert reference_of("face", settings_for("face", face_model="some/model")) == "some/model"

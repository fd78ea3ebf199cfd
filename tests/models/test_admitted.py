"""What a runner admits as a second model: an ensemble needs the memory of all its members, and no conversion."""

from pathlib import Path

import pytest

from models import configured
from models.configured import Face, VoiceWithSpeech, settings_for
from models.errors import BadManifest, ModelUnavailable
from models.info import Device
from tests.models.onnx_files import ensemble_manifest, save, save_ensemble, voice_manifest, voice_onnx


def test_an_ensemble_is_admitted_by_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def require_memory(paths: list[Path], device: Device) -> None:
        asked.extend(paths)

    monkeypatch.setattr(configured, "require_memory", require_memory)
    monkeypatch.setattr(configured, "load_apart", lambda *_: pytest.fail("nothing is to be converted"))
    for name in ("first", "second"):
        save(tmp_path / "pair" / name, voice_onnx(), voice_manifest(name=name))
    pair = save_ensemble(tmp_path / "pair", ensemble_manifest("voice", ["first", "second"]))
    VoiceWithSpeech(settings_for("voice", models_dir=tmp_path)).admit(str(pair), None)
    assert asked == [pair / "first", pair / "second"]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        Face(settings_for("face", models_dir=tmp_path)).admit(str(tmp_path / "none"), None)
    broken = save_ensemble(tmp_path / "pair", ensemble_manifest("voice", ["first", "second"]))
    with pytest.raises((BadManifest, ModelUnavailable)):
        VoiceWithSpeech(settings_for("voice", models_dir=tmp_path)).admit(str(broken), None)

"""A model is loaded in a process of its own, and what is kept of it is found by the next."""

import sys
from pathlib import Path

import pytest

from models import first_load
from models.apart import load_apart
from models.configured import Face, settings_for
from models.errors import UnsupportedModel

pytestmark = pytest.mark.usefixtures("own_models_folder")


@pytest.mark.slow
def test_what_one_process_converted_is_found_by_others_and_nobody_was_told(
    tiny_face: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO's converter reports its use over the network by default, and keeps an id for that in the home folder."""
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):  # where it reports nothing
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # Converted by this process, which has imported torch: another one would import it for most of this test's time.
    niced: list[int] = []
    monkeypatch.setattr("models.first_load.os.nice", niced.append)
    monkeypatch.setattr(sys, "argv", ["first_load", "--", "face", str(tiny_face)])
    assert (first_load.main(), niced) == (0, [19])
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "models/compiled").rglob("*")}
    assert kept
    settings = settings_for("face")
    Face(settings).admit(str(tiny_face), None)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "models/compiled").rglob("*")} == kept
    assert list((tmp_path / "home").iterdir()) == []
    caplog.clear()
    loaded = Face(settings).load(str(tiny_face), None)
    assert loaded.info.name == tiny_face.name
    assert "converting model for OpenVINO" not in caplog.text


def test_another_process_has_the_settings_of_this_one(
    tiny_face: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONAFIDE_PRECISION", "fp31")
    with pytest.raises(UnsupportedModel, match="BONAFIDE_PRECISION"):
        load_apart("face", str(tiny_face), None)


def test_what_cannot_be_loaded_has_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="nothing-here"):
        load_apart("voice", str(tmp_path / "nothing-here"), None)


def test_one_that_ends_or_takes_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nkill -9 $$\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(UnsupportedModel, match="ended by signal 9"):
        load_apart("voice", "model", "fake")
    fake.write_text("#!/bin/sh\nexec sleep 20\n")
    with pytest.raises(UnsupportedModel, match="took longer"):
        load_apart("voice", "model", None, limit_s=0.2)

"""`python -m models.convert`."""

from pathlib import Path

import pytest

from models.convert import main
from tests.models.checkpoints import TINY_DINOV2, save_face

pytestmark = pytest.mark.usefixtures("own_models_folder")


def test_it_writes_a_folder_and_says_how_to_serve_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_face(tmp_path / "faces", ["live", "print", "replay"], **TINY_DINOV2)
    out = tmp_path / "new" / "out"
    assert main([str(folder), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert told == f"{out}: faces, spoof is everything but 0: live; serve it with BONAFIDE_FACE_MODEL={out}\n"
    assert main([str(folder), "--out", str(out)]) == 0, "once more, as each start of a pod does"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (["nowhere/to/be", "--task", "face"], 1, "there is no folder or file 'nowhere/to/be'"),
        (["org/name", "--task", "face", "--offline"], 1, "org/name is not saved in"),
        (["nowhere.pth"], 1, "there is no file 'nowhere.pth'"),
    ],
)
def test_an_error_is_a_sentence(
    arguments: list[str], status: int, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out", str(tmp_path / "out")]) == status
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith(why)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tiny_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([str(tiny_face), "--out", str(tmp_path / "file" / "out")]) == 1
    assert f"{tmp_path / 'file' / 'out'} cannot be written" in capsys.readouterr().err


def test_a_wrong_setting_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONAFIDE_ENGINE", "abacus")
    assert main(["bundled", "--task", "face", "--out", str(tmp_path / "out")]) == 2
    assert "BONAFIDE_ENGINE" in capsys.readouterr().err


def test_bundled_names_two_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bundled", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "say so with --task" in capsys.readouterr().err


def test_its_help_has_what_a_reference_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for text in (".pth", "hub id", "bento:TAG", "--spoof-label", "BONAFIDE_VOICE_MODEL", "Exit status", "examples:"):
        assert text in told

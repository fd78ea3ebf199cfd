import os
import subprocess
import sys
from pathlib import Path

import pytest

from models import catalog
from models.catalog import find_model
from models.errors import ModelUnavailable, UnsupportedModel
from models.info import Task

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    return tmp_path / "mine"


def test_a_folder(folder: Path, tmp_path: Path) -> None:
    files = find_model(f"  {folder} ", "voice", tmp_path)
    assert (files.name, files.path, files.demo, files.is_pth) == ("mine", folder, False, False)


def test_a_pth_file_itself_or_alone_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "chk.pth").touch()
    for reference, name in ((tmp_path / "old" / "chk.pth", "chk"), (tmp_path / "old", "old")):
        files = find_model(str(reference), "voice", tmp_path)
        assert (files.name, files.path, files.is_pth) == (name, tmp_path / "old" / "chk.pth", True)
    (tmp_path / "old" / "second.pth").touch()
    with pytest.raises(UnsupportedModel, match=r"2 \.pth files"):
        find_model(str(tmp_path / "old"), "voice", tmp_path)


def test_a_folder_here_wins_over_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "name").mkdir(parents=True)
    (tmp_path / "org" / "name" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert find_model("org/name", "face", tmp_path / "models", offline=True).path == tmp_path / "org" / "name"


def test_a_saved_hub_model(tmp_path: Path) -> None:
    (tmp_path / "hub" / "org--name" / "v2").mkdir(parents=True)
    files = find_model("org/name@v2", "face", tmp_path, offline=True)
    assert (files.name, files.path) == ("org/name", tmp_path / "hub" / "org--name" / "v2")


@pytest.mark.parametrize("task", ["voice", "face"])
def test_bundled(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "BUNDLED", tmp_path)
    with pytest.raises(ModelUnavailable, match=f"no bundled {task} model"):
        find_model("bundled", task, tmp_path)
    (tmp_path / task).mkdir()
    (tmp_path / task / "config.json").write_text("{}")
    files = find_model("bundled", task, tmp_path)
    assert (files.name, files.path, files.demo) == (f"bonafide-{task}-demo", tmp_path / task, True)


@pytest.mark.parametrize(
    "reference",
    ["", "no such thing", "./nowhere/at/all", "/nowhere/at/all", "../org/name", "org/../name", "nowhere.pth", "http://x/y",
     "org/name@", "org/name@../..", "~nobody-of-this-name/x"],
)  # fmt: skip
def test_what_names_nothing_is_refused_without_asking_the_hub(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="there is no"):
        find_model(reference, "voice", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_other_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(UnsupportedModel, match=r"no \.pth"):
        find_model(str(tmp_path / "model.bin"), "voice", tmp_path)
    with pytest.raises(UnsupportedModel, match=r"no config\.json and no \.pth file"):
        find_model(str(tmp_path), "voice", tmp_path)


def test_a_tag_of_the_bentoml_model_store(folder: Path, tmp_path: Path) -> None:
    program = (
        "import shutil, sys, bentoml; from pathlib import Path; from models.catalog import find_model\n"
        "with bentoml.models.create('wavlm:v1') as made: shutil.copytree(sys.argv[1], made.path, dirs_exist_ok=True)\n"
        "for tag in ('wavlm:v1', 'wavlm:latest', 'wavlm'):\n"
        "    files = find_model('bento:' + tag, 'voice', Path('unused'))\n"
        "    print(files.name, (files.path / 'config.json').read_text(), files.path.is_relative_to(sys.argv[2]))\n"
        "try: find_model('bento:nothing', 'voice', Path('unused'))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(tmp_path / "bento")],
        cwd=ROOT,
        env={**os.environ, "BENTOML_HOME": str(tmp_path / "bento"), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        check=True,
    )
    *found, refusal = done.stdout.strip().splitlines()
    assert found == ["wavlm:v1 {} True"] * 3
    assert refusal.startswith("ModelUnavailable BentoML's model store has no 'nothing'")


def test_a_folder_with_a_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "onnx"
    folder.mkdir()
    (folder / "model.onnx").touch()
    for reference in (folder, folder / "model.onnx"):
        with pytest.raises(UnsupportedModel, match=r"`python -m models\.manifest --init model\.onnx` writes a first"):
            find_model(str(reference), "voice", tmp_path)
    (folder / "bonafide.json").touch()
    files = find_model(str(folder), "voice", tmp_path)
    assert (files.name, files.path, files.is_onnx, files.is_pth) == ("onnx", folder, True, False)

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize("folder", ["proto", "clients/python/src/bonafide_client/proto"])
def test_the_committed_stubs_are_what_the_contracts_generate(folder: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "proto/generate.py", "--out", tmp_path], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / folder).glob("*_pb2*")}
    assert made == committed


def buf(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([BIN / "buf", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_old_clients_can_still_talk(tmp_path: Path) -> None:
    legacy = ROOT / "tests/proto/legacy"
    assert buf("breaking", "proto", "--against", legacy).returncode == 0
    for path in (ROOT / "proto").glob("*.proto"):
        (tmp_path / path.name).write_text(path.read_text().replace("string task_id = 3;", "string task_id = 4;"))
    broken = buf("breaking", tmp_path, "--against", legacy)
    assert broken.returncode != 0
    assert "task_id" in broken.stdout

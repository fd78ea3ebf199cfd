import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bonafide.bento.own_folder import PREFIX, own_folder
from scripts.local_service import ROOT

HOLDER = """
import sys, time
from bonafide.bento.own_folder import own_folder
print(own_folder(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def holder(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has made its folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=ROOT, env={**os.environ, "TMPDIR": str(temporary)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_there_while_its_process_is_and_the_next_one_removes_that_of_a_killed_one(temporary: Path) -> None:
    process, folder = holder(temporary)
    with process:
        (folder / "values").mkdir()
        (folder / "values" / "counter_1.db").touch()
        assert folder.parent == temporary
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        mine = own_folder()
        assert folder.exists()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert folder.exists()
    another = own_folder()
    assert set(temporary.iterdir()) == {mine, another}


def test_it_is_removed_at_the_exit(temporary: Path) -> None:
    process, folder = holder(temporary)
    process.communicate("")
    assert process.returncode == 0
    assert not folder.exists()


def test_what_is_no_left_folder_of_this_user_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}file").touch()
    (temporary / f"{PREFIX}left").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    mine = {own_folder()}
    assert {each.name for each in set(temporary.iterdir()) - mine} == {
        *("elsewhere", f"{PREFIX}link", f"{PREFIX}file", f"{PREFIX}left")
    }
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    mine |= {own_folder()}
    assert {each.name for each in set(temporary.iterdir()) - mine} == {"elsewhere", f"{PREFIX}link", f"{PREFIX}file"}
    assert (elsewhere / "file").exists()


@pytest.mark.parametrize("moment", ["opened", "locked"])
def test_one_that_another_process_takes_for_left_before_it_is_locked_is_made_again(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target: Any = {"opened": os, "locked": fcntl}[moment]
    attribute = {"opened": "open", "locked": "flock"}[moment]
    function = getattr(target, attribute)
    made: list[str] = []
    mkdtemp: Callable[..., str] = tempfile.mkdtemp

    def noted(**options: Any) -> str:
        made.append(mkdtemp(**options))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", noted)

    def after_it_was_removed(*arguments: Any) -> Any:
        monkeypatch.setattr(target, attribute, function)
        shutil.rmtree(made[-1])
        return function(*arguments)

    monkeypatch.setattr(target, attribute, after_it_was_removed)
    assert own_folder() == Path(made[1])
    assert Path(made[1]).is_dir()

import errno
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from models.folders import build_once
from tests.folder_sync import Folders


def _build_slowly(target: Path, log: Path) -> None:
    def build(fresh: Path) -> None:
        with log.open("a") as stream:
            stream.write("built\n")
        (fresh / "first").touch()
        time.sleep(0.3)
        (fresh / "second").touch()

    build_once(target, build)
    assert (target / "first").exists()
    assert (target / "second").exists()


def test_builds_once_and_then_never_again(tmp_path: Path) -> None:
    built: list[Path] = []
    for _ in range(3):
        assert build_once(tmp_path / "deep" / "er", built.append) == tmp_path / "deep" / "er"
    assert len(built) == 1


def test_racing_processes_build_once_and_all_see_the_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_build_slowly, args=(tmp_path / "x", tmp_path / "log")) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_failed_build_leaves_nothing_to_be_taken_for_whole(tmp_path: Path) -> None:
    def fail(fresh: Path) -> None:
        (fresh / "half").touch()
        raise RuntimeError("torn")

    with pytest.raises(RuntimeError, match="torn"):
        build_once(tmp_path / "x", fail)
    assert not (tmp_path / "x").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".x.lock"]


def test_what_is_not_whole_is_built_anew(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "torn").touch()
    build_once(tmp_path / "x", lambda fresh: (fresh / "whole").touch(), lambda folder: (folder / "whole").exists())
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["whole"]


def test_all_files_are_on_disk_before_the_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[str] = set()

    def fsync(descriptor: int) -> None:
        assert not (tmp_path / "x").exists()
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)

    def build(fresh: Path) -> None:
        (fresh / "deep").mkdir()
        (fresh / "deep" / "file").touch()

    build_once(tmp_path / "x", build)
    assert {"deep", "file"} < synced


def test_a_file_system_that_syncs_no_folders_has_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", Folders(errno.EINVAL))
    build_once(tmp_path / "x", lambda fresh: (fresh / "file").touch())
    assert (tmp_path / "x" / "file").exists()


def test_what_a_killed_process_left_behind_is_swept_away(tmp_path: Path) -> None:
    left_behind = tmp_path / ".x.new-dead"
    left_behind.mkdir()
    (left_behind / "half").touch()
    build_once(tmp_path / "x", lambda fresh: (fresh / "whole").touch())
    assert not left_behind.exists()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["whole"]

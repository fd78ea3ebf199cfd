import os
import time
from pathlib import Path

from bonafide.security.file_changes import FileChanges


def test_each_change_is_told_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("1")
    changes = FileChanges([first, second], look_s=0)
    assert not changes.changed()
    second.write_text("22")
    assert changes.changed()
    assert not changes.changed()
    first.unlink()
    assert changes.changed()
    assert not changes.changed()


def test_another_file_behind_a_link_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes replaces a mounted secret: `..data` points to another folder."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "key").write_text(version)
        os.utime(tmp_path / version / "key", (1, 1))
    (tmp_path / "data").symlink_to("1")
    changes = FileChanges([tmp_path / "data" / "key"], look_s=0)
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").replace(tmp_path / "data")
    assert changes.changed()


def test_a_file_that_is_being_written_has_not_changed_yet(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    changes = FileChanges([file], look_s=0.4)
    time.sleep(0.4)
    with file.open("w") as writing:
        for _ in range(10):
            writing.write("new\n")
            writing.flush()
            time.sleep(0.1)
            assert not changes.changed()
    time.sleep(0.5)
    assert changes.changed()
    assert not changes.changed()


def test_an_old_change_is_told_by_the_first_look(tmp_path: Path) -> None:
    """Where calls are rare, the first one after a key was taken away is refused."""
    file = tmp_path / "file"
    file.write_text("old")
    changes = FileChanges([file], look_s=0.2)
    file.write_text("new")
    time.sleep(0.5)
    assert changes.changed()


def test_a_change_while_reading_is_told_and_comes_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    changes = FileChanges([file], look_s=0)
    file.write_text("newer")
    assert changes.changed()
    assert changes.is_read_whole()
    file.write_text("newest")
    assert not changes.is_read_whole()
    assert changes.changed()


def test_it_does_not_look_more_often_than_told(tmp_path: Path) -> None:
    changes = FileChanges([tmp_path / "file"], look_s=3600)
    (tmp_path / "file").write_text("new")
    assert not changes.changed()

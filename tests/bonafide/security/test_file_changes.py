import os
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


def test_it_does_not_look_more_often_than_told(tmp_path: Path) -> None:
    changes = FileChanges([tmp_path / "file"], look_s=3600)
    (tmp_path / "file").write_text("new")
    assert not changes.changed()

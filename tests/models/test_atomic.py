import os
from pathlib import Path

import pytest

from models.atomic import atomic


def test_an_interrupted_write_leaves_no_file(tmp_path: Path) -> None:
    def stopped() -> None:
        with atomic(tmp_path / "x") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_two_processes_that_write_at_once_are_not_in_each_others_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic(tmp_path / "x") as temporary:
        temporary.write_text("first")
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: 1)
            with atomic(tmp_path / "x") as theirs:
                theirs.write_text("second")
        assert (tmp_path / "x").read_text() == "second"
    assert (tmp_path / "x").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]

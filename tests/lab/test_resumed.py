"""A run goes on with what it was begun with, or not at all."""

from pathlib import Path

import pytest

from lab.resumed import NOTE, begun_before, digest_of


def test_the_same_run_goes_on_and_another_does_not(tmp_path: Path) -> None:
    facts = {"seed": 1, "layers": (1, 2)}
    assert begun_before(tmp_path / "run", facts) is False
    assert begun_before(tmp_path / "run", facts) is True
    for others in ({"seed": 2, "layers": (1, 2)}, {"seed": 1}, facts | {"more": None, "seed": 3}):
        with pytest.raises(ValueError, match="holds a training with another"):
            begun_before(tmp_path / "run", others)


@pytest.mark.parametrize("content", ["", "[]", "3"])
def test_a_note_that_is_none_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text(content)
    with pytest.raises(ValueError, match="cannot be read"):
        begun_before(tmp_path, {"seed": 1})


def test_a_digest_tells_parts_apart() -> None:
    assert digest_of(b"ab", b"c") != digest_of(b"a", b"bc")

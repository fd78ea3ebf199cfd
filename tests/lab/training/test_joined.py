from dataclasses import replace
from pathlib import Path

import pytest

from lab.training.data.joined import join
from lab.training.data.manifest import NO_ATTACK, Item, read, write

ROW = Item(Path("a.jpg"), "bonafide", "one", "test", "CC0", NO_ATTACK, "dev")


def test_rows_of_all_manifests_keep_their_files(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write([replace(ROW, path=tmp_path / name / "a.jpg")], tmp_path / name / "manifest.jsonl")
    manifests = [tmp_path / name / "manifest.jsonl" for name in ("first", "second")]
    assert join(manifests, tmp_path / "out" / "both.jsonl") == 2
    assert [item.path for item in read(tmp_path / "out" / "both.jsonl")] == [
        tmp_path / "first" / "a.jpg",
        tmp_path / "second" / "a.jpg",
    ]


def test_a_person_in_two_splits_is_refused(tmp_path: Path) -> None:
    write([ROW], tmp_path / "first.jsonl")
    write([replace(ROW, split="test")], tmp_path / "second.jsonl")
    with pytest.raises(ValueError, match="one is in dev and in test"):
        join([tmp_path / "first.jsonl", tmp_path / "second.jsonl"], tmp_path / "both.jsonl")

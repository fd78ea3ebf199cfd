import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lab.training.data import manifest
from lab.training.data.manifest import Item


def items(folder: Path) -> list[Item]:
    real = Item(folder / "a b/1.wav", "bonafide", "p/ann", "debian:p", "GPL-2.0", "-", "train")
    fake = Item(folder / "2.wav", "spoof", "espeak/de", "debian:e", "GPL-3.0", "espeak", "dev", "speed, 120")
    return [real, fake, replace(real, path=Path("/elsewhere/3.wav"), subject="p/bob", split="test")]


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv"])
def test_what_was_written_is_read(tmp_path: Path, name: str) -> None:
    manifest.write(items(tmp_path), tmp_path / name)
    assert manifest.read(tmp_path / name) == items(tmp_path)


def test_a_name_that_is_not_utf_8_comes_back(tmp_path: Path) -> None:
    odd = [replace(items(tmp_path)[0], path=tmp_path / os.fsdecode(b"caf\xe9.wav"))]
    manifest.write(odd, tmp_path / "m.jsonl")
    assert manifest.read(tmp_path / "m.jsonl") == odd
    manifest.write(items(tmp_path), tmp_path / "m.csv")
    with pytest.raises(ValueError, match="not UTF-8"):
        manifest.write(odd, tmp_path / "m.csv")
    assert manifest.read(tmp_path / "m.csv") == items(tmp_path), "what was there stays"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_moved_folder_still_finds_its_files(tmp_path: Path) -> None:
    manifest.write(items(tmp_path / "old")[:2], tmp_path / "old" / "m.jsonl")
    (tmp_path / "old").rename(tmp_path / "new")
    assert manifest.read(tmp_path / "new" / "m.jsonl") == items(tmp_path / "new")[:2]


@pytest.mark.parametrize(("field", "value"), [("label", "fake"), ("split", "valid"), ("attack", "espeak")])
def test_a_wrong_row_is_named(tmp_path: Path, field: str, value: str) -> None:
    path = tmp_path / "m.csv"
    manifest.write(items(tmp_path)[:1], path)
    header, row = path.read_text().splitlines()
    names, values = header.split(","), row.split(",")
    values[names.index(field)] = value
    path.write_text(f"{','.join(names)}\n{','.join(values)}\n")
    with pytest.raises(ValueError, match="row 1"):
        manifest.read(path)


_ROW = {"path": "1.wav", "label": "bonafide", "subject": "ann", "source": "s", "licence": "CC0", "split": "dev"}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "m.csv",
            "path,label,subject\n1.wav,bonafide,ann\n",
            "its first line: it lacks source, licence, attack, split",
        ),
        ("m.csv", f"{','.join(_ROW)},attack,colour\n", "fields that are not known: colour; a row has path, label,"),
        ("m.csv", f"{','.join(_ROW)},attack\n{','.join(_ROW.values())},-,red\n", "row 1: it has more cells than the 7"),
        ("m.csv", f"{','.join(_ROW)},attack\n1.wav,bonafide,ann\n", "row 1: it lacks source, licence, split"),
        ("m.jsonl", json.dumps(_ROW | {"colour": "red"}), "row 1: it has fields that are not known: colour"),
        ("m.jsonl", json.dumps(_ROW | {"label": "spoof"}), "row 1: it lacks attack; a row has path, label, subject"),
        ("m.jsonl", json.dumps(_ROW | {"label": "spoof", "attack": ""}), "'spoof' does not go with attack ''"),
        ("m.csv", f"{','.join(_ROW)},attack,label\n1.wav,bonafide,ann,s,CC0,dev,-,spoof\n", "'label' more than once"),
        (
            "m.csv",
            f'{",".join(_ROW)},attack,detail\n1.wav,bonafide,ann,s,CC0,dev,-,"open\n2.wav\n',
            "row 1: unexpected",
        ),
        ("m.csv", f"{','.join(_ROW)},attack,detail\n{'x' * 140_000}\n", "row 1: field larger than field limit"),
        ("m.jsonl", json.dumps(_ROW)[:-1] + ', "label": "spoof"}', "line 1: it has 'label' more than once"),
        ("m.jsonl", f"{json.dumps(_ROW)}\n{{", "line 2: Expecting"),
        ("m.jsonl", json.dumps(_ROW | {"subject": ["ann"]}), "row 1: its subject is no text"),
    ],
)
def test_missing_and_extra_columns_get_a_sentence(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        manifest.read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", f"{','.join(_ROW)},attack\n{','.join(_ROW.values())},\n"),
        ("m.csv", f"{','.join(_ROW)},attack\n{','.join(_ROW.values())}\n"),
        ("m.jsonl", json.dumps(_ROW)),
        ("m.jsonl", json.dumps(_ROW | {"attack": ""})),
        ("m.jsonl", json.dumps(_ROW | {"attack": None, "detail": None})),
    ],
)
def test_bona_fide_rows_may_leave_the_attack_empty(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    (item,) = manifest.read(tmp_path / name)
    assert (item.attack, item.detail) == ("-", "")


def test_a_number_in_json_is_its_text(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(json.dumps(_ROW | {"subject": 7}))
    assert manifest.read(tmp_path / "m.jsonl")[0].subject == "7"


def test_a_subject_on_two_sides_is_refused(tmp_path: Path) -> None:
    good = items(tmp_path)
    manifest.check_split(good)
    with pytest.raises(ValueError, match="p/ann is in"):
        manifest.check_split([*good, replace(good[0], split="test")])


def test_a_leaked_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="held-out attack espeak is in dev"):
        manifest.check_split(items(tmp_path), {"espeak"})

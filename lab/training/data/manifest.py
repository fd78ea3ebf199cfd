"""The manifest: one row per item of training or test data, as JSON lines or CSV.

Paths are kept relative to the manifest's folder where they are below it, so a data folder can be moved.
"""

import csv
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from lab.resumed import digest_of
from models.atomic import atomic
from models.json_files import named_once

Split = Literal["train", "dev", "test"]

BONAFIDE: Final = "bonafide"
SPOOF: Final = "spoof"
NO_ATTACK = "-"


@dataclass(frozen=True)
class Item:
    """One file and its metadata.

    Attributes:
        path: The file; absolute after `read`.
        label: `bonafide` or `spoof` (faces too: live is `bonafide`, fake is `spoof`).
        subject: Speaker or person, unique over all sources; splits never share one.
        source: Package it came from, e.g. `debian:klettres-data`.
        licence: Licence of that package.
        attack: Attack family, or `-` for bona fide items, whose rows may leave it empty or out.
        split: `train`, `dev` or `test`.
        detail: Free text, e.g. the voice or the parameters of the attack.
    """

    path: Path
    label: Literal["bonafide", "spoof"]
    subject: str
    source: str
    licence: str
    attack: str
    split: Split
    detail: str = ""

    def __post_init__(self) -> None:
        if self.label not in (BONAFIDE, SPOOF):
            raise ValueError(f"{self.path}: label {self.label!r} is neither {BONAFIDE} nor {SPOOF}")
        if self.split not in ("train", "dev", "test"):
            raise ValueError(f"{self.path}: split {self.split!r} is none of train, dev, test")
        if (self.label == BONAFIDE) != (self.attack == NO_ATTACK) or not self.attack:
            raise ValueError(f"{self.path}: label {self.label!r} does not go with attack {self.attack!r}")


def write(items: Iterable[Item], path: Path) -> None:
    """Writes a manifest whole or not at all; `.csv` is written as CSV, anything else as JSON lines.

    Raises:
        ValueError: a name is not UTF-8, which CSV cannot hold.
    """
    rows = [asdict(item) | {"path": _relative(item.path, path.parent)} for item in items]
    is_table = path.suffix == ".csv"
    # What is not UTF-8 in a file's name is a lone surrogate, whose escape JSON reads back.
    errors = "strict" if is_table else "backslashreplace"
    with atomic(path) as fresh, fresh.open("w", encoding="utf-8", errors=errors, newline="") as file:
        if is_table:
            writer = csv.DictWriter(file, [field.name for field in fields(Item)])
            writer.writeheader()
            try:
                writer.writerows(rows)
            except UnicodeEncodeError as error:
                raise ValueError(f"{path}: a file's name is not UTF-8, which a .jsonl manifest can hold") from error
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read(path: Path) -> list[Item]:
    """Reads a manifest written by `write`.

    Raises:
        ValueError: A column or field is missing or unknown, or a value is invalid; the message names it.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets begin a CSV with a byte order mark
        rows = _table(path, file) if path.suffix == ".csv" else _lines(path, file)
    items = []
    for number, row in enumerate(rows, 1):
        try:
            _check_fields(row)
            item = Item(**{name: value for name, value in row.items() if value is not None})
            items.append(replace(item, path=path.parent.absolute() / item.path))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, row {number}: {error}") from error
    return items


def digest(items: Iterable[Item]) -> str:
    """12 hex digits over rows, by which what was made of a manifest is told from what is made of another."""
    return digest_of(*(json.dumps(asdict(item) | {"path": str(item.path)}).encode() for item in items))


def check_split(items: Sequence[Item], held_out: Iterable[str] = ()) -> None:
    """Checks the two rules that every reported number depends on.

    Args:
        items: The whole manifest.
        held_out: Attack families that may be in the test split only.

    Raises:
        ValueError: A subject is in two splits, or a held-out family is outside the test split.
    """
    side: dict[str, str] = {}
    forbidden = set(held_out)
    for item in items:
        if side.setdefault(item.subject, item.split) != item.split:
            raise ValueError(f"{item.subject} is in {side[item.subject]} and in {item.split}")
        if item.attack in forbidden and item.split != "test":
            raise ValueError(f"{item.path}: held-out attack {item.attack} is in {item.split}")


def _lines(path: Path, file: TextIO) -> list[Any]:
    rows = []
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                rows.append(json.loads(line, object_pairs_hook=named_once))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
    return rows


def _table(path: Path, file: TextIO) -> list[dict[Any, Any]]:
    try:
        reader = table_reader(file)
        _check_names(list(reader.fieldnames or ()))
    except UnicodeDecodeError:
        raise
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path}, its first line: {error}") from error
    rows: list[dict[Any, Any]] = []
    try:
        rows.extend(reader)
    except csv.Error as error:
        raise ValueError(f"{path}, row {len(rows) + 1}: {error}") from error
    for number, row in enumerate(rows, 1):
        if row.pop(None, None) is not None:  # where csv keeps the cells too many
            raise ValueError(f"{path}, row {number}: it has more cells than the {len(reader.fieldnames or ())} columns")
    return rows


def table_reader(file: TextIO) -> "csv.DictReader[str]":
    """The rows of a CSV file as dictionaries; a quote that is not closed is an error, and swallows no rows.

    Raises:
        ValueError: two columns have the same name, of which one would silently count.
        csv.Error: the header is no CSV.
    """
    reader = csv.DictReader(file, strict=True)
    named_once([(name, None) for name in reader.fieldnames or ()])
    return reader


def _check_fields(row: object) -> None:
    if not isinstance(row, dict):
        raise ValueError("not an object of fields")
    if row.get("label") == BONAFIDE and not row.get("attack"):
        row["attack"] = NO_ATTACK
    _check_names([name for name, value in row.items() if value is not None], [str(name) for name in row])
    for name, value in row.items():
        if type(value) is int:  # such as a speaker's number in JSON, which is the same as its text in CSV
            row[name] = str(value)
        elif not isinstance(value, str | None):
            raise ValueError(f"its {name} is no text")


def _check_names(given: Collection[str], all_names: Collection[str] | None = None) -> None:
    """Raises `ValueError` with the fields that are missing among those given, and with those that are not known."""
    needed = {field.name: field.default is MISSING for field in fields(Item)}
    told = f"a row has {', '.join(name for name, must in needed.items() if must)}"
    told += f" and may have {', '.join(name for name, must in needed.items() if not must)}"
    if lacking := [name for name, must in needed.items() if must and name not in given]:
        raise ValueError(f"it lacks {', '.join(lacking)}; {told}")
    if unknown := [name for name in all_names or given if name not in needed]:
        raise ValueError(f"it has fields that are not known: {', '.join(unknown)}; {told}")


def _relative(path: Path, folder: Path) -> str:
    absolute = path.absolute()
    base = folder.absolute()
    return str(absolute.relative_to(base)) if absolute.is_relative_to(base) else str(absolute)

"""The manifest: one row per item of training or test data, as JSON lines or CSV.

Paths are kept relative to the manifest's folder where they are below it, so a data folder can be moved.
"""

import csv
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, TextIO

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
    """Writes a manifest; `.csv` is written as CSV, anything else as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(item) | {"path": _relative(item.path, path.parent)} for item in items]
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, [field.name for field in fields(Item)])
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read(path: Path) -> list[Item]:
    """Reads a manifest written by `write`.

    Raises:
        ValueError: A column or field is missing or unknown, or a value is invalid; the message names it.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets begin a CSV with a byte order mark
        rows = _table(path, file) if path.suffix == ".csv" else [json.loads(line) for line in file if line.strip()]
    items = []
    for number, row in enumerate(rows, 1):
        try:
            _check_fields(row)
            item = Item(**{name: value for name, value in row.items() if value is not None})
            items.append(replace(item, path=path.parent.absolute() / item.path))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, row {number}: {error}") from error
    return items


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


def _table(path: Path, file: TextIO) -> list[dict[Any, Any]]:
    reader = csv.DictReader(file)
    header = list(reader.fieldnames or ())
    try:
        _check_names(header)
    except ValueError as error:
        raise ValueError(f"{path}, its first line: {error}") from error
    rows = list(reader)
    for number, row in enumerate(rows, 1):
        if row.pop(None, None) is not None:  # where csv keeps the cells too many
            raise ValueError(f"{path}, row {number}: it has more cells than the {len(header)} columns")
    return rows


def _check_fields(row: object) -> None:
    if not isinstance(row, dict):
        raise ValueError("not an object of fields")
    if row.get("label") == BONAFIDE and not row.get("attack"):
        row["attack"] = NO_ATTACK
    _check_names([name for name, value in row.items() if value is not None], [str(name) for name in row])


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

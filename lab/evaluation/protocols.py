"""The lists of public anti-spoofing data sets: one line of a list in, one trial out. Reads no other file.

ASVspoof 2019 LA (5 columns), ASVspoof 2021 LA (8) and DF (13), ASVspoof 5 (10), In-the-Wild's `meta.csv`, and both
kinds of CelebA-Spoof lists. Paths of the trials are as the list has them: relative, for ASVspoof without a suffix.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab.evaluation.trials import BONAFIDE, UNNAMED_ATTACK, DataError, Trial
from lab.training.data.manifest import table_reader
from models.json_files import named_once

CELEBA_ATTACKS = (
    "live", "photo", "poster", "a4", "face-mask", "upper-body-mask", "region-mask", "pc", "pad", "phone", "3d-mask",
)  # fmt: skip
"""Attack by the number at place 40 of a CelebA-Spoof annotation."""
_CELEBA_ATTACK_PLACE = 40
_CELEBA_LIVE_PLACE = 43


@dataclass(frozen=True)
class _Columns:
    """Column numbers of an ASVspoof list; -1: none."""

    kind: str
    attack: int
    key: int
    source: int = -1
    split: int = -1


_SPEAKER, _FILE = 0, 1
_ASVSPOOF = {
    5: _Columns("ASVspoof 2019", attack=3, key=4),
    8: _Columns("ASVspoof 2021 LA", attack=4, key=5, source=2, split=7),
    10: _Columns("ASVspoof 5", attack=7, key=8, source=3),
    13: _Columns("ASVspoof 2021 DF", attack=4, key=5, source=2, split=7),
}


def asvspoof_kind(row: Sequence[str]) -> str | None:
    """Which ASVspoof list a line belongs to, by its number of columns and its key; None: to none."""
    columns = _ASVSPOOF.get(len(row))
    return columns.kind if columns and row[columns.key] in ("bonafide", "spoof") else None


def asvspoof(path: Path) -> Iterator[Trial]:
    """The trials of an ASVspoof list; `source` is the codec, where the list has one.

    Raises:
        DataError: a line of another form than the first.
    """
    first: str | None = None
    for number, row in _rows(path):
        kind = asvspoof_kind(row)
        first = first or kind
        if kind is None or kind != first:
            raise DataError(f"{path}, line {number}: not a line of an ASVspoof list: {' '.join(row)!r}")
        columns = _ASVSPOOF[len(row)]
        spoof = row[columns.key] == "spoof"
        attack = row[columns.attack]
        yield Trial(
            path=Path(row[_FILE]),
            attack=(UNNAMED_ATTACK if attack in ("-", "spoof") else attack) if spoof else BONAFIDE,
            subject=row[_SPEAKER],
            source=_codec(row[columns.source]) if columns.source >= 0 else "",
            split=row[columns.split] if columns.split >= 0 else "",
        )


def in_the_wild(path: Path) -> Iterator[Trial]:
    """The trials of In-the-Wild's `meta.csv`.

    Raises:
        DataError: a label that is neither `bona-fide` nor `spoof`, or no table with each column once.
    """
    labels = {"bona-fide": BONAFIDE, "bonafide": BONAFIDE, "spoof": UNNAMED_ATTACK}
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = table_reader(file)
            for row in reader:
                if row["label"] not in labels:
                    line = reader.line_num
                    raise DataError(f"{path}, line {line}: label {row['label']!r} is neither bona-fide nor spoof")
                if not row["file"]:
                    raise DataError(f"{path}, line {reader.line_num}: it names no file")
                yield Trial(Path(row["file"]), labels[row["label"]], row["speaker"] or row["file"])
        except UnicodeDecodeError:
            raise
        except (ValueError, csv.Error) as error:
            raise DataError(f"{path}: {error}") from error


def celeba_list(path: Path) -> Iterator[Trial]:
    """The trials of a CelebA-Spoof text list: a path and 0 for live or 1 for spoof.

    Raises:
        DataError: a line of another form, or a path that does not lie where such a photo does.
    """
    for number, row in _rows(path):
        if len(row) != 2 or row[1] not in ("0", "1"):
            raise DataError(f"{path}, line {number}: not a path and 0 or 1: {' '.join(row)!r}")
        yield _celeba(path, row[0], UNNAMED_ATTACK if row[1] == "1" else BONAFIDE)


def celeba_annotations(path: Path) -> Iterator[Trial]:
    """The trials of a CelebA-Spoof JSON list, which names the attack species.

    Raises:
        DataError: an entry of another form, or whose attack, class and folder contradict each other.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=named_once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON with each photo once: {error}") from error
    if not isinstance(entries, dict):
        raise DataError(f"{path} is no CelebA-Spoof list: it holds no JSON object of photos")
    for name, values in entries.items():
        try:
            kind, spoof = int(values[_CELEBA_ATTACK_PLACE]), int(values[_CELEBA_LIVE_PLACE])
            attack = CELEBA_ATTACKS[kind]
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise DataError(f"{path}: {name} has no CelebA-Spoof annotation of 44 numbers") from error
        if kind < 0 or (kind > 0) != (spoof == 1) or spoof not in (0, 1):
            raise DataError(f"{path}: {name} has attack {kind} and class {spoof}, which contradict each other")
        yield _celeba(path, name, attack if spoof else BONAFIDE)


def _codec(name: str) -> str:
    return "nocodec" if name in ("-", "none") else name


def _celeba(path: Path, name: str, attack: str) -> Trial:
    """The trial of a photo in `live` or `spoof`; the folder above is the person.

    Raises:
        DataError: it does not lie there. In the lists of others 1 may mean bona fide.
    """
    parts = PurePosixPath(name).parts
    number, folder = (0, "live") if attack == BONAFIDE else (1, "spoof")
    if parts[-2:-1] != (folder,):
        raise DataError(
            f"{path}: {name} is of class {number}, and lies in no folder {folder} as photos of CelebA-Spoof do; "
            "if this is another list, write a manifest, since its numbers may mean the opposite"
        )
    return Trial(Path(name), attack, subject=parts[-3] if len(parts) >= 3 else name)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if row := line.split():
                yield number, row

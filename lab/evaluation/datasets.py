"""From a path to trials with existing files: a manifest, a public set's list, or a folder with a folder per class."""

import csv
import logging
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lab.evaluation.protocols import (
    asvspoof,
    asvspoof_kind,
    celeba_annotations,
    celeba_list,
    in_the_wild,
)
from lab.evaluation.trials import (
    AUDIO_SUFFIXES,
    BONAFIDE,
    PHOTO_SUFFIXES,
    UNNAMED_ATTACK,
    DataError,
    Dataset,
    Trial,
)
from lab.training.data import manifest

logger = logging.getLogger(__name__)

_BONAFIDE_FOLDERS = ("bonafide", "bona-fide", "live", "real")
_SPOOF_FOLDERS = ("spoof", "fake")
_FORMS = (
    "a manifest (.jsonl, or .csv with a path column), an ASVspoof 2019, 2021 or 5 list, In-the-Wild's meta.csv, "
    "a CelebA-Spoof list, or a folder with the folders bonafide (or live) and spoof"
)
_MAX_NAMED = 3


def read_dataset(data: Path, media: Path | None = None, *, allow_missing: bool = False) -> Dataset:
    """Reads `data` of any form, and finds the files.

    Args:
        data: see `_FORMS`.
        media: folder of the files that a list names; by default they are searched around the list.
        allow_missing: leave trials out whose file does not exist.

    Raises:
        DataError: its form is unknown, a line is invalid, a file has both labels, or files are missing.
    """
    if data.is_dir():
        if (data / "meta.csv").is_file():
            return read_dataset(data / "meta.csv", media, allow_missing=allow_missing)
        return Dataset("folders", tuple(_folders(data)))
    if not data.is_file():
        raise DataError(f"there is no file or folder {str(data)!r}")
    try:
        dataset = _read(data, media)
    except UnicodeDecodeError as error:
        raise DataError(f"{data} is no text; --data takes {_FORMS}") from error
    if not dataset.trials:
        raise DataError(f"{data} is empty")
    _check_truth(dataset)
    return _existing(dataset, allow_missing=allow_missing)


def sample(dataset: Dataset, limit: int | None) -> Dataset:
    """At most `limit` trials, drawn at random but always the same, both classes in proportion."""
    if limit is None or limit >= len(dataset.trials):
        return dataset
    rng = random.Random(0)  # noqa: S311
    trials = list(dataset.trials)
    bonafide, spoofs = ([index for index, trial in enumerate(trials) if trial.spoof == each] for each in (False, True))
    count = round(limit * len(bonafide) / len(trials))
    if bonafide and spoofs:
        count = min(max(1, count), max(1, limit - 1))
    kept = rng.sample(bonafide, count) + rng.sample(spoofs, limit - count)
    return Dataset(f"{dataset.kind}, sample of {len(kept)}", tuple(trials[index] for index in sorted(kept)))


def _read(data: Path, media: Path | None) -> Dataset:
    if data.suffix == ".jsonl":
        return _manifest(data)
    if data.suffix == ".json":
        return Dataset("CelebA-Spoof", _placed(celeba_annotations(data), media or _celeba_root(data)))
    with data.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    if data.suffix == ".csv":
        header = next(csv.reader([first]), [])
        if {"path", "label"} <= set(header):
            return _manifest(data)
        if {"file", "speaker", "label"} <= set(header):
            return Dataset("In-the-Wild", _placed(in_the_wild(data), media or data.parent))
        raise DataError(f"{data}: the columns {', '.join(header)} are not known; --data takes {_FORMS}")
    row = first.split()
    if kind := asvspoof_kind(row):
        return Dataset(kind, _found_by_name(asvspoof(data), media or _asvspoof_root(data)))
    if len(row) == 2 and row[1] in ("0", "1"):
        return Dataset("CelebA-Spoof", _placed(celeba_list(data), media or _celeba_root(data)))
    raise DataError(f"{data}: its first line is of no known list; --data takes {_FORMS}")


def _manifest(path: Path) -> Dataset:
    try:
        items = manifest.read(path)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise DataError(str(error)) from error
    return Dataset(
        "manifest",
        tuple(Trial(item.path, item.attack, item.subject or str(item.path), item.source, item.split) for item in items),
    )


def _folders(root: Path) -> Iterator[Trial]:
    """Files below the class folders; a folder within `spoof` names the attack. Links to folders are not followed.

    Raises:
        DataError: the folders do not tell the classes, or hold no file that is known by its ending.
    """
    folders = [folder for folder in sorted(root.iterdir()) if folder.is_dir()]
    bonafide = [folder for folder in folders if folder.name.casefold() in _BONAFIDE_FOLDERS]
    spoof = [folder for folder in folders if folder.name.casefold() in _SPOOF_FOLDERS]
    if len(bonafide) != 1 or len(spoof) != 1:
        raise DataError(
            f"{root} needs exactly one folder of {', '.join(_BONAFIDE_FOLDERS)} and one of {', '.join(_SPOOF_FOLDERS)}"
        )
    left_out: Counter[str] = Counter()
    found = 0
    for folder, is_spoof in ((bonafide[0], False), (spoof[0], True)):
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in AUDIO_SUFFIXES | PHOTO_SUFFIXES or not path.is_file():
                left_out[_kind(path)] += 1
                continue
            found += 1
            below = path.relative_to(folder).parts
            attack = below[0] if len(below) > 1 and below[0] != BONAFIDE else UNNAMED_ATTACK
            yield Trial(path, attack if is_spoof else BONAFIDE, subject=str(path))
    del left_out[""]
    told = ", ".join(f"{count} {kind}" for kind, count in left_out.items())
    if not found:
        raise DataError(f"{root} holds no recording or photo that is known by its ending{told and f': {told}'}")
    if told:
        logger.warning("left out of %s, by their endings: %s", root, told)


def _kind(path: Path) -> str:
    """What is left out of a folder, in words; empty: nothing that could be an item."""
    if path.is_dir():
        return "link to a folder" if path.is_symlink() else ""
    return "" if path.name.startswith(".") else path.suffix.lower() or "without an ending"


def _placed(trials: Iterator[Trial], root: Path) -> tuple[Trial, ...]:
    return tuple(replace(trial, path=root / trial.path) for trial in trials)


def _found_by_name(trials: Iterable[Trial], root: Path) -> tuple[Trial, ...]:
    """ASVspoof lists name files without folder and suffix; they are searched everywhere below `root`.

    Raises:
        DataError: two files have a name of the list, such as copies through a codec.
    """
    files: dict[str, Path] = {}
    second: dict[str, Path] = {}
    for path in root.rglob("*"):
        if path.suffix.lower() in AUDIO_SUFFIXES and files.setdefault(path.stem, path) is not path:
            second[path.stem] = path
    trials = tuple(trials)
    if doubtful := next((name for trial in trials if (name := trial.path.name) in second), None):
        raise DataError(
            f"{doubtful} may be {files[doubtful]} or {second[doubtful]}; name the folder of one of them with --media"
        )
    return tuple(
        replace(trial, path=files.get(trial.path.name, root / trial.path.with_suffix(".flac"))) for trial in trials
    )


def _asvspoof_root(data: Path) -> Path:
    """2019 keeps its lists in a folder beside those of the files; the others are unpacked beside each other."""
    return data.parent.parent if data.parent.name.endswith("protocols") else data.parent


def _celeba_root(data: Path) -> Path:
    """The folder that holds `Data`, which the paths in the lists begin with."""
    return next((folder for folder in data.absolute().parents if (folder / "Data").is_dir()), data.parent)


def _existing(dataset: Dataset, *, allow_missing: bool) -> Dataset:
    missing = [trial.path for trial in dataset.trials if not trial.path.is_file()]
    if not missing:
        return dataset
    if not allow_missing or len(missing) == len(dataset.trials):
        raise DataError(
            f"{len(missing)} of {len(dataset.trials)} files do not exist, such as {_named(missing)}; "
            "name their folder with --media, or leave them out with --allow-missing"
        )
    absent = set(missing)
    kept = tuple(trial for trial in dataset.trials if trial.path not in absent)
    return Dataset(f"{dataset.kind}, {len(missing)} files missing", kept)


def _check_truth(dataset: Dataset) -> None:
    """Raises `DataError` where the list contradicts itself."""
    truth: dict[Path, bool] = {}
    for trial in dataset.trials:
        if truth.setdefault(trial.path, trial.spoof) != trial.spoof:
            raise DataError(f"{trial.path} is listed as bona fide and as spoof")


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths[:_MAX_NAMED])

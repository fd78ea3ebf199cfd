"""Trials: labelled files, whatever list or folder they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.info import Task

BONAFIDE = "-"
"""The attack of a bona fide item."""
UNNAMED_ATTACK = "unnamed"
"""The attack of a spoof whose list does not name it."""

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aac", ".amr", ".awb", ".m4a", ".mp4",
     ".3gp", ".mov", ".webm", ".mka", ".mkv"}
)  # fmt: skip
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif"})


class DataError(Exception):
    """The data cannot be used as requested; the message is for the user of the command line."""


@dataclass(frozen=True)
class Trial:
    """One labelled file.

    Attributes:
        path: the file.
        attack: attack species, or `-` for a bona fide item.
        subject: speaker or person; the path where unknown, so that each file is a subject of its own.
        source: where it came from, such as a data set or a codec; empty: unknown.
        split: part of the data set, such as `dev`; empty: unknown.
    """

    path: Path
    attack: str
    subject: str
    source: str = ""
    split: str = ""

    @property
    def spoof(self) -> bool:
        """Whether it is an attack."""
        return self.attack != BONAFIDE


@dataclass(frozen=True)
class Dataset:
    """All trials of a list or folder.

    Attributes:
        kind: how the list was understood, such as `ASVspoof 2019`.
        trials: in the order of the list.
    """

    kind: str
    trials: tuple[Trial, ...]

    @property
    def splits(self) -> list[str]:
        """Names of the parts, sorted."""
        return sorted({trial.split for trial in self.trials} - {""})


def chosen_split(dataset: Dataset, split: str | None) -> Dataset:
    """The trials of one part.

    Raises:
        DataError: there is no such part, or there are several and none is chosen.
    """
    splits = dataset.splits
    if split is None:
        if len(splits) > 1:
            raise DataError(f"the data has the splits {', '.join(splits)}: choose one with --split, or --split all")
        return dataset
    if split == "all":
        return dataset
    if split not in splits:
        raise DataError(f"the data has no split {split!r}; it has {', '.join(splits) or 'none'}")
    return Dataset(dataset.kind, tuple(trial for trial in dataset.trials if trial.split == split))


def task_of(trials: Sequence[Trial]) -> Task:
    """The task of the files, by their names; copies of uploads may have no endings, and are what the others are.

    Raises:
        DataError: they are neither all audio nor all photos.
    """
    suffixes = {trial.path.suffix.lower() for trial in trials}
    known = suffixes - {""}
    if known and known <= PHOTO_SUFFIXES:
        return "face"
    if known and known <= AUDIO_SUFFIXES:
        return "voice"
    unknown = ", ".join(sorted(known - PHOTO_SUFFIXES - AUDIO_SUFFIXES)) or (
        "audio and photos together" if known else "names without an ending"
    )
    raise DataError(f"cannot tell whether these are voices or faces ({unknown}); say so with --task")

"""Scores trials in batches: files are read on threads ahead of the model, what is scored is kept, progress is told."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.evaluation.score_file import ScoreFile


class Unreadable(Exception):
    """A file that the service would refuse; the message says why."""


@dataclass(frozen=True)
class Part:
    """What the model is given: one window of a recording, or the whole photo.

    Attributes:
        array: int16 `(samples,)` or uint8 `(height, width, 3)`.
        seconds: of true audio in the window; 1 for a photo.
        reason: why a photo's verdict should not be relied on, or empty.
    """

    array: NDArray[Any]
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Scored:
    """What the model said of one file.

    Attributes:
        scores: P(spoof) per part; NaN where there is none.
        seconds: per part.
        problem: why there are no parts, or empty.
        reason: why the verdict should not be relied on, or empty.
    """

    scores: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    problem: str = ""
    reason: str = ""


Reader = Callable[[Path], list[Part]]
"""From a file to parts; raises `Unreadable`."""


class Model(Protocol):
    """What scores parts."""

    def score(self, items: list[Any]) -> NDArray[np.float32]:
        """P(spoof) of each, NaN where there is none."""


@dataclass(frozen=True)
class ReadFile:
    """What reading made of a file.

    Attributes:
        path: the file.
        parts: what the model would be given.
        problem: why there are no parts, or empty.
    """

    path: Path
    parts: list[Part]
    problem: str = ""


def score_files(
    paths: Sequence[Path],
    *,
    read: Reader,
    model: Model,
    batch: int,
    threads: int,
    kept: ScoreFile,
    advanced: Callable[[int], None],
) -> list[Scored]:
    """Scores files in their order.

    Args:
        paths: files; the same one twice is scored once.
        read: makes parts of a file, on several threads at a time.
        model: scores parts; lists of many windows or photos.
        batch: parts given to the model at a time.
        threads: of reading.
        kept: earlier scores, which are used, and where new ones go as soon as they are known.
        advanced: is told how many files have just been finished.

    Returns:
        One entry per path.
    """
    fresh = [path for path in dict.fromkeys(paths) if path not in kept]
    advanced(len(paths) - len(fresh))
    for group in _groups(read_ahead(fresh, read, threads), batch):
        for path, scored in _score(group, model):
            kept.add(path, scored.scores, scored.seconds, scored.problem, scored.reason)
        advanced(len(group))
    return [Scored(*kept.get(path)) for path in paths]


def read_ahead(paths: Iterable[Path], read: Reader, threads: int) -> Iterator[ReadFile]:
    """Reads files in their order, on threads, a few ahead of whoever takes them."""

    def one(path: Path) -> ReadFile:
        try:
            return ReadFile(path, read(path))
        except Unreadable as error:
            return ReadFile(path, [], str(error))

    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        remaining = iter(paths)
        waiting = deque(pool.submit(one, path) for path in islice(remaining, 2 * threads))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(one, path) for path in islice(remaining, 1))
            yield result


def _groups(files: Iterator[ReadFile], batch: int) -> Iterator[list[ReadFile]]:
    """Files that together fill a batch of parts."""
    group: list[ReadFile] = []
    for file in files:
        group.append(file)
        if sum(len(each.parts) for each in group) >= batch:
            yield group
            group = []
    if group:
        yield group


def _score(group: Sequence[ReadFile], model: Model) -> Iterator[tuple[Path, Scored]]:
    scores = iter(model.score([part.array for file in group for part in file.parts]).tolist())
    for file in group:
        found = tuple(float(score) for score in islice(scores, len(file.parts)))
        reason = file.parts[0].reason if file.parts else ""
        yield file.path, Scored(found, tuple(part.seconds for part in file.parts), file.problem, reason)

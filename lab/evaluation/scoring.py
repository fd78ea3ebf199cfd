"""Scores trials in batches: files are read on threads ahead of the model, scores are kept, progress is reported."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from bonafide.verdict import WindowScore
from lab.evaluation.score_file import Scored, ScoreFile


class Unreadable(Exception):
    """A file that the service would refuse; the message states the reason."""


@dataclass(frozen=True)
class Part:
    """Model input: one window of a recording, or the whole photo.

    Attributes:
        array: int16 `(samples,)` or uint8 `(height, width, 3)`.
        seconds: of true audio in the window; 1 for a photo.
        reason: why a photo's verdict should not be relied on, or empty.
        channel: whose window it is, from 0; None: of all channels together, or a photo.
    """

    array: NDArray[Any]
    seconds: float
    reason: str = ""
    channel: int | None = None


Reader = Callable[[Path], list[Part]]
"""From a file to parts; raises `Unreadable`."""


class Model(Protocol):
    """Scores parts."""

    def score(self, parts: Sequence[Part]) -> list[WindowScore]:
        """P(spoof) of each, NaN where there is none, its share of speech, and an ensemble's members' scores."""


@dataclass(frozen=True)
class ReadFile:
    """The result of reading a file.

    Attributes:
        path: the file.
        parts: the model input.
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
        read: converts a file to parts, on several threads at a time.
        model: scores parts, many at a time.
        batch: parts given to the model at a time.
        threads: of reading.
        kept: earlier scores, which are reused, and the store of new ones.
        advanced: called with the number of files just finished.

    Returns:
        One entry per path.
    """
    fresh = [path for path in dict.fromkeys(paths) if path not in kept]
    advanced(len(paths) - len(fresh))
    for group in _groups(read_ahead(fresh, read, threads), batch):
        for path, scored in _score(group, model):
            kept.add(path, scored)
        advanced(len(group))
    return [kept.get(path) for path in paths]


def read_ahead(paths: Iterable[Path], read: Reader, threads: int) -> Iterator[ReadFile]:
    """Reads files in their order, on threads, a few ahead of the consumer."""

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
    answers = iter(model.score([part for file in group for part in file.parts]))
    for file in group:
        found = list(islice(answers, len(file.parts)))
        yield (
            file.path,
            Scored(
                scores=tuple(each.score for each in found),
                seconds=tuple(part.seconds for part in file.parts),
                speech_ratios=tuple(each.speech_ratio for each in found),
                problem=file.problem,
                reason=file.parts[0].reason if file.parts else "",
                members=tuple(each.members for each in found if each.members),
                channels=channels_of(file.parts),
            ),
        )


def channels_of(parts: Sequence[Part]) -> tuple[int | None, ...]:
    """The channel of each part; none where all are of all channels together."""
    found = tuple(part.channel for part in parts)
    return found if any(channel is not None for channel in found) else ()

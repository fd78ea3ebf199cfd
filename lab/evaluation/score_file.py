"""Scores that are kept on disk as JSON lines, so that a long evaluation can be stopped and resumed."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from lab.evaluation.trials import DataError


@dataclass(frozen=True)
class Scored:
    """The model's result for one file.

    Attributes:
        scores: P(spoof) per part; NaN where there is none.
        seconds: per part.
        speech_ratios: share of each part that is speech, 0..1; 1 for a photo.
        problem: why there are no parts, or empty.
        reason: why the verdict should not be relied on, or empty.
        members: scores of an ensemble's members, per part; empty of a single model.
        channels: whose each part is, see `Part`; empty where all are of all channels together.
    """

    scores: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    speech_ratios: tuple[float, ...] = ()
    problem: str = ""
    reason: str = ""
    members: tuple[tuple[float, ...], ...] = ()
    channels: tuple[int | None, ...] = ()


class ScoreFile:
    """Scores by file. The first line identifies the model; a line per scored file follows, written at once.

    A file that has changed since (its size or time) counts as not scored, and so does one that was refused under other
    limits than the present ones. Use it as a context manager.

    Args:
        path: of the file; None: kept in memory only.
        model: identifies everything that a score depends on besides the file.
        limits: identifies what decides which files are refused; scores do not depend on it.

    Raises:
        DataError: the file is of another model, or no score file at all.
    """

    def __init__(self, path: Path | None, model: str, limits: str = "") -> None:
        self._entries: dict[str, Scored] = {}
        self._limits = limits
        self._stamps: dict[str, list[int]] = {}
        self._file: IO[str] | None = None
        if path is None:
            return
        if path.exists():
            self._load(path, model)
            self._file = path.open("a", encoding="utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
            self._write({"model": model})

    def __contains__(self, path: Path) -> bool:
        name = str(path.absolute())
        return name in self._entries and self._stamps[name] == _stamp(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def get(self, path: Path) -> Scored:
        """The result for a file.

        Raises:
            KeyError: there is none.
        """
        return self._entries[str(path.absolute())]

    def add(self, path: Path, scored: Scored) -> None:
        """Stores the result for a file."""
        name = str(path.absolute())
        self._entries[name] = scored
        self._stamps[name] = _stamp(path)
        if self._file:
            self._write(
                {
                    "path": name,
                    "stamp": self._stamps[name],
                    "scores": _written(scored.scores),
                    "seconds": scored.seconds,
                    "speech": _written(scored.speech_ratios),
                    "problem": scored.problem,
                    "reason": scored.reason,
                    **({"limits": self._limits} if scored.problem else {}),
                    **({"members": [_written(each) for each in scored.members]} if scored.members else {}),
                    **({"channels": scored.channels} if scored.channels else {}),
                }
            )

    def _load(self, path: Path, model: str) -> None:
        lines = path.read_bytes().splitlines(keepends=True)
        try:
            known = json.loads(lines[0])["model"]
        except (IndexError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no score file; name another one") from error
        if known != model:
            raise DataError(f"{path} holds scores of {known}, not of {model}; name another one, or remove it")
        if not lines[-1].endswith(b"\n"):  # the last run was stopped within a line
            if len(lines) == 1:  # the first, of which only the end is missing
                path.write_bytes(lines[0] + b"\n")
            else:  # in place: nothing of what is kept is written again
                os.truncate(path, sum(map(len, lines[:-1])))
            lines.pop()
        for number, line in enumerate(lines[1:], 2):
            try:
                row = json.loads(line)
                name, stamp, scored = row["path"], row["stamp"], _scored(row)
                if scored.problem and row.get("limits") != self._limits:
                    continue  # tried again; a later row tells what became of it
                self._entries[name] = scored
                self._stamps[name] = stamp
            except KeyError as error:
                raise DataError(
                    f"{path} is of a release that told no {error}; name another one, or remove it"
                ) from error
            except (ValueError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{path}, line {number} is damaged; remove the line, and its file is scored again"
                ) from error

    def _write(self, row: dict[str, Any]) -> None:
        assert self._file is not None  # noqa: S101
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()


def _scored(row: dict[str, Any]) -> Scored:
    return Scored(
        scores=_numbers(row["scores"]),
        seconds=tuple(row["seconds"]),
        speech_ratios=_numbers(row["speech"]),
        problem=row["problem"],
        reason=row["reason"],
        members=tuple(map(_numbers, row.get("members", ()))),
        channels=tuple(row.get("channels", ())),
    )


def _written(numbers: Sequence[float]) -> list[float | None]:
    return [number if math.isfinite(number) else None for number in numbers]


def _numbers(row: list[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if number is None else float(number) for number in row)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]

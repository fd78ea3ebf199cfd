"""Scores that are kept on disk as JSON lines, so that a long evaluation can be stopped and taken up again."""

import json
import math
from pathlib import Path
from typing import IO, Any, Self

from models.evaluation.trials import DataError

Entry = tuple[tuple[float, ...], tuple[float, ...], str, str]
"""Scores per part, seconds per part, problem, reason."""


class ScoreFile:
    """Scores by file. The first line names the model; a line per scored file follows, written at once.

    A file that has changed since (its size or time) counts as not scored. Use it as a context manager.

    Args:
        path: where it lies; None: kept in memory only.
        model: names everything that a score depends on besides the file.

    Raises:
        DataError: the file is of another model, or no score file at all.
    """

    def __init__(self, path: Path | None, model: str) -> None:
        self._entries: dict[str, Entry] = {}
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

    def get(self, path: Path) -> Entry:
        """What is known of a file.

        Raises:
            KeyError: nothing.
        """
        return self._entries[str(path.absolute())]

    def add(self, path: Path, scores: tuple[float, ...], seconds: tuple[float, ...], problem: str, reason: str) -> None:
        """Remembers what was found out about a file."""
        name = str(path.absolute())
        self._entries[name] = (scores, seconds, problem, reason)
        self._stamps[name] = _stamp(path)
        if self._file:
            numbers = [score if math.isfinite(score) else None for score in scores]
            row = {"scores": numbers, "seconds": seconds, "problem": problem, "reason": reason}
            self._write({"path": name, "stamp": self._stamps[name], **row})

    def _load(self, path: Path, model: str) -> None:
        lines = path.read_bytes().splitlines(keepends=True)
        try:
            known = json.loads(lines[0])["model"]
        except (IndexError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no score file; name another one") from error
        if known != model:
            raise DataError(f"{path} holds scores of {known}, not of {model}; name another one, or remove it")
        if not lines[-1].endswith(b"\n"):  # the last run was stopped within a line
            lines.pop()
            path.write_bytes(b"".join(lines))
        for line in lines[1:]:
            row = json.loads(line)
            scores = tuple(math.nan if score is None else float(score) for score in row["scores"])
            self._entries[row["path"]] = (scores, tuple(row["seconds"]), row["problem"], row.get("reason", ""))
            self._stamps[row["path"]] = row["stamp"]

    def _write(self, row: dict[str, Any]) -> None:
        assert self._file is not None  # noqa: S101
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]

"""Lines of the service's log -> what both models logged on each recording, live session or photo."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bonafide.shadow.report import MESSAGE
from models.info import Task

_MAX_LINE = 16 * 1024 * 1024
"""Characters; a line has some eight for each window and model."""


@dataclass(frozen=True)
class LoggedVerdict:
    """One model's verdict, as logged.

    Attributes:
        model: name and version.
        window_samples: that it takes; None: not stated.
        threshold: in force.
        score: 0..1.
        label: that followed.
        scores: of each window, 0..1; of a photo the score again.
    """

    model: tuple[str, str]
    window_samples: int | None
    threshold: float
    score: float
    label: str
    scores: tuple[float, ...]


@dataclass(frozen=True)
class VerdictPair:
    """Both verdicts on one recording, live session or photo."""

    task: Task
    request_id: str
    task_id: str
    served: LoggedVerdict
    shadow: LoggedVerdict


@dataclass(frozen=True)
class Log:
    """What was read.

    Attributes:
        compared: in the order of the log.
        unreadable: lines of a shadow that could not be read, such as those cut off.
    """

    compared: list[VerdictPair]
    unreadable: int


def read_lines(lines: Iterable[str]) -> Log:
    """Reads the lines of a shadow, whatever stands before each one's JSON; all others are passed over."""
    compared, unreadable = [], 0
    for line in lines:
        if f'"{MESSAGE}"' not in line:
            continue
        try:
            if (found := _compared(line)) is not None:
                compared.append(found)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            unreadable += 1
    return Log(compared, unreadable)


def _compared(line: str) -> VerdictPair | None:
    """None: a line about something else.

    Raises:
        ValueError, KeyError, TypeError: it is malformed.
    """
    if len(line) > _MAX_LINE:
        raise ValueError("too long")
    document = json.loads(line[line.index("{") :])
    if document.get("message") != MESSAGE:
        return None
    task = document["task"]
    if task not in ("voice", "face"):
        raise ValueError("no such task")
    served, shadow = _logged(document["served"]), _logged(document["shadow"])
    if len(served.scores) != len(shadow.scores):
        raise ValueError("windows without a counterpart")
    return VerdictPair(task, str(document["request_id"]), str(document.get("task_id") or ""), served, shadow)


def _logged(fields: dict[str, Any]) -> LoggedVerdict:
    if not fields["scores"]:
        raise ValueError("no scores")
    samples = fields["window_samples"]
    return LoggedVerdict(
        (str(fields["model"]), str(fields["version"])),
        None if samples is None else int(samples),
        _probability(fields["threshold"]),
        _probability(fields["score"]),
        str(fields["label"]),
        tuple(map(_probability, fields["scores"])),
    )


def _probability(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise ValueError("no probability")
    return number

"""Both models' verdicts on one answer -> metrics, and one line in the log, which `lab.compare` reads."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bonafide.shadow.comparisons import Outcome, ShadowObserver
from models.info import ModelInfo, Task

logger = logging.getLogger(__name__)

MESSAGE = "shadow"
"""`message` of the line."""
_DIGITS = 4


@dataclass(frozen=True)
class ModelVerdict:
    """What one of both models says on a recording, live session or photo.

    Attributes:
        threshold: in force for this model.
        score: of all of it, 0..1.
        label: that follows.
        scores: of each window that was judged, in order, 0..1; of a photo the score again.
    """

    model: ModelInfo
    threshold: float
    score: float
    label: str
    scores: Sequence[float]

    def as_fields(self) -> dict[str, Any]:
        """The same for the log."""
        return {
            "model": self.model.name,
            "version": self.model.version,
            "window_samples": self.model.window_samples,
            "threshold": self.threshold,
            "score": round(self.score, _DIGITS),
            "label": self.label,
            "scores": [round(float(score), _DIGITS) for score in self.scores],
        }


def report(
    task: Task, request_id: str, served: ModelVerdict, shadow: ModelVerdict, observer: ShadowObserver
) -> Outcome:
    """Writes the line, and records every pair of scores.

    Returns:
        AGREED or CHANGED.
    """
    for pair in zip(served.scores, shadow.scores, strict=True):
        observer.shadow_score(task, *pair)
    outcome = Outcome.AGREED if served.label == shadow.label else Outcome.CHANGED
    fields = {
        "request_id": request_id,
        "task": task,
        "outcome": outcome.value,
        "served": served.as_fields(),
        "shadow": shadow.as_fields(),
    }
    logger.info(MESSAGE, extra=fields)
    return outcome

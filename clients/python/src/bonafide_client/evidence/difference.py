"""What is different when the same media are scored again."""

from dataclasses import dataclass
from typing import Any

from ..results import AudioReport, FaceReport
from .record import Record


@dataclass(frozen=True)
class Difference:
    """Two verdicts on the same media.

    Attributes:
        same_model: whether name and version of the model are the same.
        labels: recorded and new.
        scores: recorded and new; None without speech.
        largest: of the differences of the scores, the windows' too; None where the verdicts cannot be compared: speech
            was found in one alone, or their windows are not the same.
    """

    same_model: bool
    labels: tuple[str, str]
    scores: tuple[float | None, float | None]
    largest: float | None

    def within(self, tolerance: float) -> bool:
        """Whether the label is the same and no score differs by more."""
        return self.labels[0] == self.labels[1] and self.largest is not None and self.largest <= tolerance


def difference(record: Record, again: AudioReport | FaceReport) -> Difference:
    """Compares a record with a new verdict."""
    payload = record.payload
    recorded: list[tuple[Any, ...]] = [("all", payload["score"])]
    new: list[tuple[Any, ...]] = [("all", again.score)]
    if isinstance(again, AudioReport):
        recorded += [(round(start, 3), round(end, 3), score) for start, end, score, *_ in payload.get("windows", ())]
        new += [(round(chunk.start_s, 3), round(chunk.end_s, 3), chunk.score) for chunk in again.chunks]
    return Difference(
        same_model=(payload["model"]["name"], payload["model"]["version"]) == (again.model.name, again.model.version),
        labels=(payload["label"], again.label),
        scores=(payload["score"], again.score),
        largest=_largest(recorded, new),
    )


def _largest(recorded: list[tuple[Any, ...]], new: list[tuple[Any, ...]]) -> float | None:
    if [(*one[:-1], one[-1] is None) for one in recorded] != [(*one[:-1], one[-1] is None) for one in new]:
        return None
    pairs = [(one[-1], other[-1]) for one, other in zip(recorded, new, strict=True) if one[-1] is not None]
    return max((abs(one - other) for one, other in pairs), default=0.0)

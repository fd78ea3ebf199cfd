"""From scores to verdicts: the score of a recording, and the threshold. One definition, for service and evaluation."""

from collections.abc import Sequence
from typing import NamedTuple

DEFAULT_THRESHOLD = 0.5


class WindowScore(NamedTuple):
    """What the voice runner says of one window, and what is cached of it.

    Attributes:
        score: P(spoof), 0..1; NaN where the model gave none.
        speech: share of the whole window, padding included, in which somebody speaks, 0..1.
    """

    score: float
    speech: float


def overall_score(scores: Sequence[float], seconds: Sequence[float]) -> float:
    """The mean of the windows' scores, each weighing as much as it has seconds of audio.

    Args:
        scores: P(spoof) of each window that has one, 0..1.
        seconds: true audio of each of these windows, above 0.

    Raises:
        ValueError: no windows.
    """
    if not scores:
        raise ValueError("a recording without a scored window has no score")
    return sum(score * share for score, share in zip(scores, seconds, strict=True)) / sum(seconds)


def threshold_in_force(setting: float | None, fitted: float | None) -> float:
    """From which score on an item is labelled spoof: as set, else as fitted to the model, else 0.5."""
    if setting is not None:
        return setting
    return DEFAULT_THRESHOLD if fitted is None else fitted

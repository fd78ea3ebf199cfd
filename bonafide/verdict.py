"""From the scores of its windows to the score of a recording. One definition, for service and evaluation."""

from collections.abc import Sequence


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

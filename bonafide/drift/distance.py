"""The distance between two distributions of scores: the population stability index."""

import math
from collections.abc import Sequence

from models.info import ScoreCounts

_LEAST = 0.001
"""Share that a bin has at least: one that is empty in one of them would make the index infinite."""


def expected_counts(fitted: ScoreCounts, spoof_share: float | None) -> list[float]:
    """What the scores are compared with.

    Args:
        fitted: scores that the calibration was fitted to.
        spoof_share: share of spoofs that is expected, 0..1; None: as in these data.

    Returns:
        For each bin, as many as there are scores in `fitted` in all.
    """
    bonafide, spoof = sum(fitted.bonafide), sum(fitted.spoof)
    share = spoof / (bonafide + spoof) if spoof_share is None else spoof_share
    return [
        (bonafide + spoof) * ((1 - share) * real / bonafide + share * fake / spoof)
        for real, fake in zip(fitted.bonafide, fitted.spoof, strict=True)
    ]


def stability_index(expected: Sequence[float], found: Sequence[float]) -> float:
    """The index: the sum over bins of (q - p) * ln(q / p), 0 or more; 0 for the same distribution.

    Below 0.1 is usually taken for no change, above 0.25 for a large one.

    Args:
        expected: counts, at least one above 0.
        found: counts of the same bins, likewise.
    """
    before, now = _shares(expected), _shares(found)
    return sum((q - p) * math.log(q / p) for p, q in zip(before, now, strict=True))


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [max(count / total, _LEAST) for count in counts]

"""Error rates of a two-class detector: scores and labels in, numbers with intervals out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Labels = NDArray[np.bool_]


def eer(scores: Scores, spoof: Labels, weights: Scores | None = None) -> float:
    """Equal error rate.

    Args:
        scores: float (items,), higher means spoof.
        spoof: bool (items,), the truth; both classes must occur.
        weights: float (items,), how much an item counts; all the same by default.

    Returns:
        The rate, 0..1, at which as many bona fide items are refused as spoofs are accepted, read off
        the convex line between the two nearest thresholds.

    Raises:
        ValueError: One class is missing.
    """
    if spoof.all() or not spoof.any():
        raise ValueError("the equal error rate needs both classes")
    weight = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(-scores, kind="stable")
    ranked, truth, mass = scores[order], spoof[order], weight[order]
    # One point per distinct score: equal scores fall on the same side of every threshold.
    last = np.append(ranked[1:] != ranked[:-1], True)
    hits = np.cumsum(mass * truth)[last] / mass[truth].sum()
    false_alarms = np.cumsum(mass * ~truth)[last] / mass[~truth].sum()
    misses = np.concatenate([[1.0], 1 - hits])
    false_alarms = np.concatenate([[0.0], false_alarms])
    gap = misses - false_alarms
    after = int(np.argmax(gap <= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(misses[after - 1] + share * (misses[after] - misses[after - 1]))


def family_weights(attacks: Sequence[str]) -> Scores:
    """Weights that let every attack family count the same, whatever number of windows it has.

    Args:
        attacks: Family per item, `-` for bona fide.

    Returns:
        float64 (items,).
    """
    names, index, counts = np.unique(list(attacks), return_inverse=True, return_counts=True)
    del names
    return np.asarray(1.0 / counts[index], np.float64)


def eer_interval(
    scores: Scores,
    spoof: Labels,
    subjects: Sequence[str],
    weights: Scores | None = None,
    rounds: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % bootstrap interval of the equal error rate, resampling speakers rather than windows.

    Windows of one voice resemble each other, so an interval over windows would be too narrow.

    Args:
        scores: float (items,), higher means spoof.
        spoof: bool (items,).
        subjects: Speaker or voice per item.
        weights: As for `eer`.
        rounds: Resamples.
        seed: Of the resampling.

    Returns:
        (low, high), each 0..1.
    """
    rng = np.random.default_rng(seed)
    _, owner = np.unique([f"{s}|{t}" for s, t in zip(subjects, spoof, strict=True)], return_inverse=True)
    real = np.unique(owner[~spoof])
    fake = np.unique(owner[spoof])
    base = np.ones(len(scores)) if weights is None else weights
    rates = []
    for _ in range(rounds):
        drawn = np.concatenate([rng.choice(real, len(real)), rng.choice(fake, len(fake))])
        times = np.bincount(drawn, minlength=int(owner.max()) + 1)[owner]
        kept = times > 0
        rates.append(eer(scores[kept], spoof[kept], (base * times)[kept]))
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)

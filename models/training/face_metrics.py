"""Error rates of a live-or-fake decision, with bootstrap intervals over people (ISO/IEC 30107-3 terms).

In: P(spoof) per photo, labels, attack kinds, people. Out: plain dictionaries for JSON and tables.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def eer(live: Scores, spoof: Scores) -> tuple[float, float]:
    """Equal error rate and its threshold.

    Args:
        live: P(spoof) of live photos, (n,).
        spoof: P(spoof) of attacks, (m,).

    Returns:
        The rate in 0..1 where refused live photos and accepted attacks are equally many, and the score
        from which a photo counts as an attack there.

    Raises:
        ValueError: One of the classes is empty.
    """
    if not len(live) or not len(spoof):
        raise ValueError("both classes need scores")
    thresholds = np.unique(np.concatenate([live, spoof]))
    refused = 1 - np.searchsorted(np.sort(live), thresholds, side="left") / len(live)
    accepted = np.searchsorted(np.sort(spoof), thresholds, side="left") / len(spoof)
    best = int(np.argmin(np.abs(refused - accepted)))
    return float((refused[best] + accepted[best]) / 2), float(thresholds[best])


def rates(scores: Scores, attacks: Sequence[str], threshold: float) -> dict[str, float]:
    """APCER per attack kind, the worst of them, BPCER and ACER at a threshold; `-` marks live photos."""
    kinds = np.asarray(attacks)
    result = {
        f"apcer_{kind}": float((scores[kinds == kind] < threshold).mean()) for kind in sorted(set(attacks) - {"-"})
    }
    result["apcer"] = max(result.values())
    result["bpcer"] = float((scores[kinds == "-"] >= threshold).mean())
    result["acer"] = (result["apcer"] + result["bpcer"]) / 2
    return result


def interval(
    measure: Callable[[NDArray[np.int64]], float], people: Sequence[str], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval that draws people, not photos, since one person's photos are alike.

    Args:
        measure: Takes indices of photos, gives the figure.
        people: The person of each photo.
        draws: Number of resamplings.
        seed: Of the resampling.
    """
    rng = np.random.default_rng(seed)
    names, owner = np.unique(np.asarray(people), return_inverse=True)
    photos = [np.flatnonzero(owner == index) for index in range(len(names))]
    figures = []
    for _ in range(draws):
        drawn = rng.integers(0, len(names), len(names))
        figures.append(measure(np.concatenate([photos[index] for index in drawn])))
    low, high = np.percentile(figures, [2.5, 97.5])
    return float(low), float(high)


def report(scores: Scores, attacks: Sequence[str], people: Sequence[str], threshold: float) -> dict[str, object]:
    """Everything the model card states: EER overall and per attack kind with intervals, rates at a threshold."""
    kinds = np.asarray(attacks)

    def rate(chosen: frozenset[str]) -> Callable[[NDArray[np.int64]], float]:
        def measure(index: NDArray[np.int64]) -> float:
            kind, score = kinds[index], scores[index]
            return eer(score[kind == "-"], score[np.isin(kind, sorted(chosen))])[0]

        return measure

    every = np.arange(len(scores))
    known = sorted(set(attacks) - {"-"})
    result: dict[str, object] = {"threshold": threshold, "people": len(set(people))}
    result["photos"] = {kind: int((kinds == kind).sum()) for kind in ["-", *known]}
    for name, chosen in [(kind, frozenset({kind})) for kind in known] + [("all", frozenset(known))]:
        measure = rate(chosen)
        result[f"eer_{name}"] = {"value": measure(every), "interval": interval(measure, people)}
    return result | rates(scores, attacks, threshold)

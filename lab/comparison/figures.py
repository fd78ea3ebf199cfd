"""Figures on a served model and its shadow, from what both logged: agreement, histograms, changed labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.comparison.log import LoggedVerdict, VerdictPair
from models.info import Task

SCORE_EDGES = tuple(step / 10 for step in range(11))
DIFFERENCE_EDGES = (-1.0, -0.5, -0.2, -0.1, -0.05, -0.01, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
ATTACK: dict[Task, str] = {"voice": "spoof", "face": "fake"}
GENUINE: dict[Task, str] = {"voice": "bonafide", "face": "live"}

DEFINITIONS = {
    "agreement": "share of recordings, live sessions or photos to which both models give the same label",
    "newly_attack": "the shadow's label is spoof or fake, the served one is not",
    "no_longer_attack": "the served label is spoof or fake, the shadow's is not",
    "difference": "the shadow's score less the served one, of a window or photo",
    "rank_correlation": "Spearman's, of the scores of recordings, live sessions or photos; null where all are equal",
}


def figures(
    compared: Sequence[VerdictPair], threshold: float | None = None, shadow_thresholds: Sequence[float] = ()
) -> list[dict[str, Any]]:
    """The figures of each pair of models in the log, in the order in which they first appear; JSON types.

    Args:
        compared: what both logged.
        threshold: of the served model; None: that in force when it answered.
        shadow_thresholds: of the shadow, each gets its own counts; none: that in force.
    """
    pairs: dict[tuple[Task, tuple[str, str], tuple[str, str]], list[VerdictPair]] = {}
    for each in compared:
        pairs.setdefault((each.task, each.served.model, each.shadow.model), []).append(each)
    chosen: Sequence[float | None] = shadow_thresholds or (None,)
    return [_pair(items, threshold, chosen) for items in pairs.values()]


def _pair(
    items: Sequence[VerdictPair], threshold: float | None, shadow_thresholds: Sequence[float | None]
) -> dict[str, Any]:
    first = items[0]
    served = np.array([score for each in items for score in each.served.scores])
    shadow = np.array([score for each in items for score in each.shadow.scores])
    difference = shadow - served
    return {
        "task": first.task,
        "served": _model(first.served),
        "shadow": _model(first.shadow),
        "items": len(items),
        "scores": len(served),
        "difference": {
            "mean": _rounded(difference.mean()),
            "mean_absolute": _rounded(np.abs(difference).mean()),
            **{name: _rounded(np.quantile(difference, share)) for name, share in _QUANTILES.items()},
        },
        "rank_correlation": _rank_correlation(items),
        "histograms": {
            "edges": list(SCORE_EDGES),
            "served": np.histogram(served, SCORE_EDGES)[0].tolist(),
            "shadow": np.histogram(shadow, SCORE_EDGES)[0].tolist(),
            "difference_edges": list(DIFFERENCE_EDGES),
            "difference": np.histogram(difference, DIFFERENCE_EDGES)[0].tolist(),
        },
        "thresholds": [_at(items, threshold, each) for each in shadow_thresholds],
    }


_QUANTILES = {"lowest": 0.0, "p5": 0.05, "median": 0.5, "p95": 0.95, "highest": 1.0}


def _model(logged: LoggedVerdict) -> dict[str, Any]:
    name, version = logged.model
    return {"name": name, "version": version, "window_samples": logged.window_samples}


def _at(items: Sequence[VerdictPair], threshold: float | None, shadow_threshold: float | None) -> dict[str, Any]:
    """Labels and what changes at these thresholds; None: those in force."""
    task = items[0].task
    changed: list[dict[str, Any]] = []
    agreed = newly = 0
    for each in items:
        before, after = _label(task, each.served, threshold), _label(task, each.shadow, shadow_threshold)
        if before == after:
            agreed += 1
            continue
        newly += after == ATTACK[task]
        changed.append(
            {
                "request_id": each.request_id,
                "task_id": each.task_id,
                "served": {"score": each.served.score, "label": before},
                "shadow": {"score": each.shadow.score, "label": after},
            }
        )
    changed.sort(key=lambda each: -abs(each["shadow"]["score"] - each["served"]["score"]))
    return {
        "served": _stated(threshold, [each.served for each in items]),
        "shadow": _stated(shadow_threshold, [each.shadow for each in items]),
        "agreement": _rounded(agreed / len(items)),
        "agreed": agreed,
        "newly_attack": newly,
        "no_longer_attack": len(changed) - newly,
        "changed": changed,
    }


def _label(task: Task, logged: LoggedVerdict, threshold: float | None) -> str:
    """As answered or logged, unless a threshold is given."""
    if threshold is None:
        return logged.label
    return ATTACK[task] if logged.score >= threshold else GENUINE[task]


def _stated(threshold: float | None, logged: Sequence[LoggedVerdict]) -> list[float]:
    """The thresholds that were in force, or the one that is given."""
    return sorted({each.threshold for each in logged}) if threshold is None else [threshold]


def _rank_correlation(items: Sequence[VerdictPair]) -> float | None:
    served = _ranks(np.array([each.served.score for each in items]))
    shadow = _ranks(np.array([each.shadow.score for each in items]))
    if np.ptp(served) == 0 or np.ptp(shadow) == 0:
        return None
    return _rounded(np.corrcoef(served, shadow)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: NDArray[np.float64] = (ends - counts + ends - 1) / 2
    return means[inverse]


def _rounded(value: Any) -> float:
    return round(float(value), 4)

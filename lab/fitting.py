"""Fits a calibration: the logistic regression of the truth on the logits of scores.

Scores and labels in, scale or weights and offset of `models.calibration.Calibration` out.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from models.calibration import Floats, logits

Method = Literal["platt", "temperature", "none"]
_MAX_STEPS = 100
_LEAST_APART = 1e-6
"""Of logits."""
_LEAST_LENGTH = 1e-10
"""Of a direction in which columns differ, as a share of the longest."""
_TURNED_OVER = (
    "spoofs do not score higher than bona fide items here, and a calibration would turn the model over; "
    "see with `python -m lab.inspect` which class is read as spoof"
)


def fit(scores: ArrayLike, spoof: ArrayLike, method: Method) -> tuple[float, float]:
    """Scale and offset of the logistic regression of the truth on the scores' logits, both classes weighing the same.

    Args:
        scores: (n,), uncalibrated P(spoof), all finite.
        spoof: bool (n,), both classes.
        method: `platt` fits both numbers, `temperature` only the scale, `none` changes nothing.

    Raises:
        ValueError: spoofs do not score higher than bona fide items, so any fit would invert the model.
    """
    if method == "none":
        return 1.0, 0.0
    x = logits(scores)
    truth = np.asarray(spoof, np.bool_)
    # Scores that do not tell the classes apart fit any scale, or one that rounding has kept above 0.
    if not x[truth].mean() - x[~truth].mean() > _LEAST_APART:
        raise ValueError(_TURNED_OVER)
    columns = np.stack([x, np.ones_like(x)], 1)[:, : 2 if method == "platt" else 1]
    solution = _regression(columns, *_targets(spoof))
    scale, offset = float(solution[0]), float(solution[1]) if method == "platt" else 0.0
    if scale <= 0:
        raise ValueError(_TURNED_OVER)
    return scale, offset


def fit_weights(members: ArrayLike, spoof: ArrayLike) -> tuple[tuple[float, ...], float]:
    """Weights and intercept of the logistic regression of the truth on the logits of an ensemble's members.

    A member whose weight would be below 0, which would turn its scores over, gets 0, and the others are fitted anew.

    Args:
        members: (n, members), P(spoof) by each, all finite.
        spoof: bool (n,), both classes.

    Raises:
        ValueError: no member scores spoofs higher than bona fide items.
    """
    x = logits(members)
    targets = _targets(spoof)
    kept = np.flatnonzero(np.ptp(x, axis=0) > _LEAST_APART).tolist()  # one that always says the same has no weight
    while kept:
        solution = _regression(np.column_stack([x[:, kept], np.ones(len(x))]), *targets)
        lowest = int(np.argmin(solution[:-1]))
        if solution[lowest] > 0:
            weights = np.zeros(x.shape[1])
            weights[kept] = solution[:-1]
            return tuple(weights.tolist()), float(solution[-1])
        del kept[lowest]
    raise ValueError(_TURNED_OVER)


def _targets(spoof: ArrayLike) -> tuple[Floats, Floats]:
    """What is fitted, and the weight of each item, by which both classes count the same."""
    truth = np.asarray(spoof, np.bool_)
    # Targets short of 0 and 1, after Platt: classes that do not overlap would drive the scale to infinity.
    counts = truth.sum(), (~truth).sum()
    target = np.where(truth, (counts[0] + 1) / (counts[0] + 2), 1 / (counts[1] + 2))
    weight = np.where(truth, 0.5 / counts[0], 0.5 / counts[1])
    return target, weight


def _regression(columns: Floats, target: Floats, weight: Floats) -> Floats:
    """Weighted logistic regression by Newton's method with halved steps.

    It begins where all is even, in directions of one length: from elsewhere it does not find back where probabilities
    are all but 0 or 1, as those of scores that lie on one side are.
    """
    basis, lengths, directions = np.linalg.svd(columns, full_matrices=False)
    kept = lengths > _LEAST_LENGTH * lengths[0]  # columns that say the same share what one would get
    basis, back = basis[:, kept], directions[kept].T / lengths[kept]

    def loss(solution: Floats) -> float:
        z = basis @ solution
        return float((weight * (np.logaddexp(0.0, z) - target * z)).sum())

    solution = np.zeros(basis.shape[1])
    for _ in range(_MAX_STEPS):
        p = 1.0 / (1.0 + np.exp(-(basis @ solution)))
        gradient = basis.T @ (weight * (p - target))
        curvature = basis.T @ (basis * (weight * p * (1.0 - p))[:, None])
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-6 and loss(solution - size * step) > loss(solution):
            size /= 2
        solution = solution - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    found: Floats = back @ solution
    return found

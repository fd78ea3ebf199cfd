"""Fits a calibration: the logistic regression of the truth on the logits of a model's scores.

Scores and labels in, scale and offset of `models.calibration.Calibration` out.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from models.calibration import Floats, logits

Method = Literal["platt", "temperature", "none"]
_MAX_STEPS = 100


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
    truth = np.asarray(spoof, np.bool_)
    x = logits(scores)
    # Targets short of 0 and 1, after Platt: classes that do not overlap would drive the scale to infinity.
    counts = truth.sum(), (~truth).sum()
    target = np.where(truth, (counts[0] + 1) / (counts[0] + 2), 1 / (counts[1] + 2))
    weight = np.where(truth, 0.5 / counts[0], 0.5 / counts[1])
    columns = np.stack([x, np.ones_like(x)], 1)[:, : 2 if method == "platt" else 1]
    solution = _regression(columns, target, weight)
    scale, offset = float(solution[0]), float(solution[1]) if method == "platt" else 0.0
    if scale <= 0:
        raise ValueError(
            "spoofs do not score higher than bona fide items here, and a calibration would turn the model over; "
            "see with `python -m lab.inspect` which class is read as spoof"
        )
    return scale, offset


def _regression(columns: Floats, target: Floats, weight: Floats) -> Floats:
    """Weighted logistic regression by Newton's method with halved steps."""

    def loss(solution: Floats) -> float:
        z = columns @ solution
        return float((weight * (np.logaddexp(0.0, z) - target * z)).sum())

    solution = np.zeros(columns.shape[1])
    solution[0] = 1.0
    for _ in range(_MAX_STEPS):
        p = 1.0 / (1.0 + np.exp(-(columns @ solution)))
        gradient = columns.T @ (weight * (p - target))
        curvature = columns.T @ (columns * (weight * p * (1.0 - p))[:, None])
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(solution)), gradient)
        size = 1.0
        while size > 1e-6 and loss(solution - size * step) > loss(solution):
            size /= 2
        solution = solution - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    return solution

"""Fusion: the scores of several models become one. Numpy arithmetic, no I/O."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.calibration import logits
from models.ensemble_fields import Fusion

Floats = NDArray[np.float32]


def fused(members: Floats, fusion: Fusion) -> Floats:
    """P(spoof) by a manifest's rule, float32 `(n,)` in 0..1; NaN where a member gave none.

    Args:
        members: float32 `(n, members)` in 0..1, in the order of the weights.
        fusion: the rule.
    """
    if fusion.rule == "log_odds":
        return fused_log_odds(members, fusion.weights, fusion.intercept or 0.0)
    weights = np.asarray(fusion.weights, np.float64)
    mean: NDArray[np.float64] = members.astype(np.float64) @ (weights / weights.sum())
    return mean.astype(np.float32)


def fused_log_odds(members: Floats, weights: Sequence[float], intercept: float) -> Floats:
    """The sigmoid of the weighted sum of the members' log odds and an intercept; see `fused`."""
    odds = logits(members) @ np.asarray(weights, np.float64) + intercept
    return (1.0 / (1.0 + np.exp(-np.clip(odds, -80.0, 80.0)))).astype(np.float32)

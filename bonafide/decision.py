"""The three answers, and how much a score weighs as evidence: rules beside the label, which stays as it is.

Score, band and prior in; a decision and a log likelihood ratio out. Imports nothing of this project.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

BONAFIDE, SPOOF, UNCERTAIN = "bonafide", "spoof", "uncertain"
MAX_LLR = math.log((1.0 - 1e-6) / 1e-6)
"""About 13.8: a posterior counts as at least 1e-6 from 0 and 1, as in `models.calibration.logits`."""


class Band(NamedTuple):
    """Between which scores nothing is decided.

    Attributes:
        lower: below it a score means bona fide, 0..1.
        upper: at or above it a score means spoof, `lower`..1; equal: nothing is left undecided.
    """

    lower: float
    upper: float


@dataclass(frozen=True)
class Answer:
    """What is said of a recording, session or photo beside its score and label.

    Attributes:
        decision: "bonafide", "spoof" or "uncertain"; None without a band.
        llr: natural logarithm of the likelihood ratio, spoof over bona fide, finite; None: see `llr_of`.
        partially_spoofed: bona fide by its mean, with suspicious stretches.
        conditions: what weakens the verdict, by the names of `audio.conditions`, in a fixed order.
    """

    decision: str | None = None
    llr: float | None = None
    partially_spoofed: bool = False
    conditions: tuple[str, ...] = ()


def effective_band(setting: Band | None, fitted: tuple[float, float] | None, threshold: float) -> Band | None:
    """The band in force: the setting, else the one fitted to the model; None: decisions are not asked for.

    It always holds the threshold, so that a decision never contradicts the label: where it does not, it is widened,
    which lowers both error rates outside it.
    """
    found = setting or fitted
    if found is None:
        return None
    return Band(min(found[0], threshold), max(found[1], threshold))


def decision_of(score: float | None, band: Band | None) -> str | None:
    """The decision on a score; without one, for lack of speech, nothing can be decided. None without a band."""
    if band is None:
        return None
    if score is None:
        return UNCERTAIN
    if score >= band.upper:
        return SPOOF
    return BONAFIDE if score < band.lower else UNCERTAIN


def llr_of(score: float | None, prior_log_odds: float | None) -> float | None:
    """Log odds of a calibrated score less those of the prior that its calibration was fitted under.

    Args:
        score: P(spoof), 0..1; None without speech.
        prior_log_odds: see `ModelInfo.prior_log_odds`; None: the score is no calibrated probability.

    Returns:
        Above 0 it speaks for spoof, below 0 for bona fide, within `MAX_LLR` of minus the prior; None without a score or
        a prior.
    """
    if score is None or prior_log_odds is None:
        return None
    odds = math.log(score / (1.0 - score)) if 0.0 < score < 1.0 else math.copysign(math.inf, score - 0.5)
    return min(max(odds, -MAX_LLR), MAX_LLR) - prior_log_odds

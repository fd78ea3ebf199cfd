"""Fits the band of scores in which nothing is decided, and tells whom it leaves undecided.

Scores of recordings or photos in; a band, both error rates outside it and the share of people inside it out.
"""

from dataclasses import dataclass

import numpy as np

from bonafide.decision import Band, effective_band
from lab import metrics
from lab.evaluation.report import ScoredTrials


@dataclass(frozen=True)
class Uncertainty:
    """A band, and what it does to the data that it was fitted to.

    Attributes:
        band: in which nothing is decided.
        bpcer: share of the bona fide items that are decided to be spoof, 0..1.
        apcer: share of the spoofs that are decided to be bona fide, 0..1.
        items: share of all items that are left undecided, 0..1.
        people: share of people with an item that is left undecided, 0..1; a person is a subject of the list.
        bonafide_people: the same of bona fide items alone: who would be asked again although they are themselves.
    """

    band: Band
    bpcer: float
    apcer: float
    items: float
    people: float
    bonafide_people: float


def fit_band(judged: ScoredTrials, rate: float, threshold: float) -> Uncertainty:
    """The narrowest band around the threshold outside which both error rates are at most `rate`.

    Args:
        judged: calibrated scores of whole recordings or photos, of both classes.
        rate: most bona fide items decided to be spoof, and most spoofs decided to be bona fide, 0..1.
        threshold: by which items are labelled; it lies within the band, see `effective_band`.

    Raises:
        ValueError: no upper end keeps bona fide items whose score is 1.
    """
    genuine, attacks = judged.scores[~judged.spoof], judged.scores[judged.spoof]
    upper = metrics.threshold_for_bpcer(genuine, rate)
    # The mirror image: of P(bona fide), spoofs are what may rarely reach the end.
    lower = 1.0 - metrics.threshold_for_bpcer(1.0 - attacks, rate)
    if upper > 1.0:
        raise ValueError("too many bona fide items have a score of 1: no upper end keeps them")
    lower = max(0.0, lower)
    # Where both ends pass each other, one threshold between them does for both rates.
    found = (lower, upper) if lower <= upper else (min(max(threshold, upper), lower),) * 2
    band = effective_band(None, (found[0], found[1]), threshold)
    assert band is not None  # noqa: S101
    undecided = (judged.scores >= band.lower) & (judged.scores < band.upper)

    def share_of_people(among: metrics.Flags) -> float:
        people = np.unique(judged.subjects[among])
        return len(np.unique(judged.subjects[among & undecided])) / len(people)

    return Uncertainty(
        band,
        bpcer=metrics.refused_rate(genuine, band.upper),
        apcer=metrics.accepted_rate(attacks, band.lower),
        items=float(undecided.mean()),
        people=share_of_people(np.ones(len(judged.scores), np.bool_)),
        bonafide_people=share_of_people(~judged.spoof),
    )

"""Error rates of a detector: scores and truth in, rates with intervals out. Independent of media.

A score is P(spoof), 0..1, and an item is labelled spoof when its score reaches the threshold. Two errors follow:
`accepted`, the share of spoofs below the threshold (APCER), and `refused`, the share of bona fide items at or above it
(BPCER).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.calibration import SHARPEST, Floats

Flags = NDArray[np.bool_]

SPOOF_PRIOR = 0.05
REFUSAL_COST = 1.0
ACCEPTANCE_COST = 10.0
"""Prior and costs of ASVspoof 5, track 1."""


@dataclass(frozen=True)
class ErrorCurve:
    """Both error rates at every threshold that makes a difference, from the laxest to the strictest.

    Attributes:
        thresholds: float64 (n,), descending; the first is infinite and refuses nothing.
        accepted: float64 (n,), falls from 1 to 0.
        refused: float64 (n,), rises from 0 to 1.
    """

    thresholds: Floats
    accepted: Floats
    refused: Floats


class Ranking:
    """Scores sorted once, so that error curves under many weightings are cheap.

    Args:
        scores: (n,), higher means spoof; all finite.
        spoof: bool (n,), the truth; both classes must occur.

    Raises:
        ValueError: a class is missing, lengths differ, or a score is not finite.
    """

    def __init__(self, scores: ArrayLike, spoof: ArrayLike) -> None:
        values, truth = _checked(scores, spoof)
        self._order = np.argsort(-values, kind="stable")
        ranked = values[self._order]
        self._spoof = truth[self._order]
        # One point per distinct score: equal scores fall on the same side of every threshold.
        self._last = np.append(ranked[1:] != ranked[:-1], True)
        self._thresholds = np.concatenate([[np.inf], ranked[self._last]])

    def curve(self, weights: Floats | None = None) -> ErrorCurve:
        """Error rates at all thresholds.

        Args:
            weights: float64 (n,), how much each item counts; all the same by default.
        """
        mass = np.ones(len(self._order)) if weights is None else np.asarray(weights, np.float64)[self._order]
        caught = np.cumsum(np.where(self._spoof, mass, 0.0))
        refused = np.cumsum(np.where(self._spoof, 0.0, mass))
        return ErrorCurve(
            self._thresholds,
            np.concatenate([[1.0], 1.0 - caught[self._last] / caught[-1]]),
            np.concatenate([[0.0], refused[self._last] / refused[-1]]),
        )


def eer(scores: ArrayLike, spoof: ArrayLike, weights: Floats | None = None) -> float:
    """Equal error rate of scores, 0..1; see `Ranking` and `equal_error_rate`."""
    return equal_error_rate(Ranking(scores, spoof).curve(weights))


def equal_error_rate(curve: ErrorCurve) -> float:
    """The rate, 0..1, at which as many spoofs are accepted as bona fide items are refused.

    Where no threshold gives equality, it is interpolated linearly between the two nearest ones.
    """
    share, after = _crossing(curve)
    return float(curve.accepted[after - 1] + share * (curve.accepted[after] - curve.accepted[after - 1]))


def equal_error_threshold(curve: ErrorCurve) -> float:
    """The threshold whose two error rates differ least."""
    return float(curve.thresholds[1:][np.argmin(np.abs(curve.accepted[1:] - curve.refused[1:]))])


def min_dcf(
    curve: ErrorCurve,
    *,
    spoof_prior: float = SPOOF_PRIOR,
    refusal_cost: float = REFUSAL_COST,
    acceptance_cost: float = ACCEPTANCE_COST,
) -> float:
    """Least detection cost over all thresholds, relative to a detector that always gives the cheaper answer.

    Returns:
        0 for a perfect detector, 1 for a useless one.
    """
    refusing = refusal_cost * (1.0 - spoof_prior)
    accepting = acceptance_cost * spoof_prior
    return float((refusing * curve.refused + accepting * curve.accepted).min() / min(refusing, accepting))


def area_under_curve(curve: ErrorCurve) -> float:
    """The probability that a random spoof scores higher than a random bona fide item, ties counting half."""
    caught = 1.0 - curve.accepted
    return float((np.diff(curve.refused) * (caught[1:] + caught[:-1]) / 2).sum())


class WithinGroups:
    """AUC within groups: the chance that a random spoof scores higher than a random bona fide item of its own group.

    A figure over all groups also counts what tells the groups apart, such as the codec of a source; this one does not.

    Args:
        scores: (n,), higher means spoof.
        spoof: bool (n,), the truth.
        groups: n names, such as sources; a group with one class does not count, nor does the empty name.
    """

    def __init__(self, scores: ArrayLike, spoof: ArrayLike, groups: Sequence[str]) -> None:
        values, truth = _checked(scores, spoof)
        names = np.asarray(groups)
        self._parts: list[tuple[Flags, Flags, Ranking]] = []
        for name in sorted(set(names[truth].tolist()) & set(names[~truth].tolist()) - {""}):
            members = names == name
            self._parts.append((members, truth[members], Ranking(values[members], truth[members])))

    def __bool__(self) -> bool:
        """Whether a group has both classes."""
        return bool(self._parts)

    def auc(self, weights: Floats) -> float:
        """The chance, 0..1; NaN if no group has both classes with weight.

        Args:
            weights: float64 (n,), how much each item counts.
        """
        share, total = 0.0, 0.0
        for members, truth, ranking in self._parts:
            mass = weights[members]
            of_spoofs = float(mass[truth].sum())
            if of_spoofs and mass[~truth].any():
                share += of_spoofs * area_under_curve(ranking.curve(mass))
                total += of_spoofs
        return share / total if total else float("nan")


def cllr(scores: ArrayLike, spoof: ArrayLike, weights: Floats | None = None) -> float:
    """Cost of the log-likelihood ratio in bits: the quality of the probabilities, not only of their order.

    Both classes have the same weight, and a score is taken as the posterior under even odds.

    Returns:
        0 for certainty that is always right, 1 for 0.5 everywhere, more for confident errors.
    """
    values, truth = _checked(scores, spoof)
    mass = np.ones(len(values)) if weights is None else weights
    sure = np.clip(values, SHARPEST, 1.0 - SHARPEST)
    bits = -np.log2(np.where(truth, sure, 1.0 - sure))
    return float((np.average(bits[truth], weights=mass[truth]) + np.average(bits[~truth], weights=mass[~truth])) / 2)


def accepted_rate(scores: ArrayLike, threshold: float, weights: Floats | None = None) -> float:
    """Share of these spoofs, 0..1, that pass as bona fide; of one attack species, its APCER."""
    return float(np.average(np.asarray(scores, np.float64) < threshold, weights=weights))


def refused_rate(scores: ArrayLike, threshold: float, weights: Floats | None = None) -> float:
    """Share of these bona fide items, 0..1, that are labelled spoof: BPCER."""
    return float(np.average(np.asarray(scores, np.float64) >= threshold, weights=weights))


def threshold_for_bpcer(bonafide: ArrayLike, bpcer: float) -> float:
    """The least threshold that refuses at most a share `bpcer` of these bona fide scores.

    It lies halfway between two scores, so that rounding on the wire moves no item across it.

    Args:
        bonafide: (n,), P(spoof) of bona fide items.
        bpcer: 0..1, smaller than 1.

    Raises:
        ValueError: no scores, or a `bpcer` outside its range.
    """
    if not 0.0 <= bpcer < 1.0:
        raise ValueError(f"a BPCER lies between 0 and 1, not at {bpcer:g}")
    ranked = np.sort(np.asarray(bonafide, np.float64))[::-1]
    if not len(ranked):
        raise ValueError("a threshold for a BPCER needs bona fide scores")
    distinct = np.unique(ranked)[::-1]
    refused = np.searchsorted(-ranked, -distinct, side="right") / len(ranked)
    allowed = min(int((refused <= bpcer + 1e-12).sum()), len(distinct) - 1)
    below = distinct[allowed]  # the highest score that must not be refused
    above = distinct[allowed - 1] if allowed else 1.0
    # Where no number lies between them, half the way may be no way at all.
    return float(max((below + above) / 2, np.nextafter(below, 2.0)))


def family_weights(attacks: Sequence[str]) -> Floats:
    """Weights that give every attack family the same weight, whatever its number of items.

    Args:
        attacks: family of each item; bona fide items are a family too.

    Returns:
        float64 (n,); the items of a family sum up to 1.
    """
    _, index, counts = np.unique(np.asarray(attacks, np.str_), return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[index], np.float64)


def bootstrap(
    measure: Callable[[Floats], Sequence[float]],
    spoof: ArrayLike,
    subjects: Sequence[str],
    *,
    rounds: int = 1000,
    seed: int = 0,
    together: bool = False,
) -> Floats:
    """95 % intervals from resampling subjects rather than items, since items of one subject are correlated.

    The classes are resampled separately, or together, for subjects that hold both, such as sites. A class with a single
    subject is resampled by item: its interval is then not valid for other subjects.

    Args:
        measure: takes weights, float64 (n,), how often each item was drawn; returns m figures, NaN where undefined.
        spoof: bool (n,); one class may be missing.
        subjects: n names of speakers or persons.
        rounds: of resampling.
        seed: of the resampling.
        together: draw both classes of a subject at once; a draw that lacks a class that there is does not count.

    Returns:
        float64 (2, m): lower and upper end for each figure; NaN for one that no draw defined.
    """
    truth = np.asarray(spoof, np.bool_)
    names = np.asarray(subjects)
    rng = np.random.default_rng(seed)
    everything = np.ones(len(truth), np.bool_)
    parts = [everything] if together else [truth, ~truth]
    classes = [(members, *_owners(names[members])) for members in parts if members.any()]
    needed = [members for members in (truth, ~truth) if members.any()]
    figures: list[Sequence[float]] = []
    while len(figures) < rounds:
        weights = np.empty(len(truth))
        for members, owner, count in classes:
            drawn = np.bincount(rng.integers(0, count, count), minlength=count)
            weights[members] = drawn[owner]
        if all(weights[members].any() for members in needed):
            figures.append(measure(weights))
    drawn_figures = np.asarray(figures, np.float64)
    defined = ~np.isnan(drawn_figures).all(axis=0)
    ends = np.full((2, drawn_figures.shape[1]), np.nan)
    ends[:, defined] = np.nanpercentile(drawn_figures[:, defined], [2.5, 97.5], axis=0)
    return ends


def _owners(names: NDArray[np.str_]) -> tuple[NDArray[np.int64], int]:
    """Number of the subject of each item, and how many subjects there are."""
    distinct, owner = np.unique(names, return_inverse=True)
    if len(distinct) > 1:
        return owner, len(distinct)
    return np.arange(len(names)), len(names)


def _crossing(curve: ErrorCurve) -> tuple[float, int]:
    """The position between two adjacent points at which the rates are equal, and the index of the second."""
    gap = curve.accepted - curve.refused
    after = int(np.argmax(gap <= 0))
    return float(gap[after - 1] / (gap[after - 1] - gap[after])), after


def _checked(scores: ArrayLike, spoof: ArrayLike) -> tuple[Floats, Flags]:
    values = np.asarray(scores, np.float64)
    truth = np.asarray(spoof, np.bool_)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(f"scores of shape {values.shape} and truth of shape {truth.shape} do not go together")
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite")
    if truth.all() or not truth.any():
        raise ValueError("error rates need both classes, bona fide and spoof")
    return values, truth

"""From scores to the report: every figure with its interval, for all items, per attack species and per source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lab import metrics
from lab.evaluation.trials import BONAFIDE, Trial
from lab.metrics import Flags, Ranking
from models.calibration import Floats

DEFINITIONS = {
    "score": "P(spoof), 0..1; an item is labelled spoof when its score reaches the threshold",
    "eer": "equal error rate: the rate at which as many spoofs are accepted as bona fide items are refused",
    "min_dcf": "least normalised detection cost; spoof prior 0.05, costs 1 (refusal), 10 (acceptance), as ASVspoof 5",
    "cllr": "cost of the log-likelihood ratio in bits, both classes weighing the same; 1 is what 0.5 everywhere gets",
    "auc": "chance that a random spoof scores higher than a random bona fide item",
    "within_source_auc": "the same, the bona fide item being of the spoof's own source; `auc` also counts what tells "
    "sources apart, such as their codecs; over sources with both classes",
    "apcer": "share of attacks below the threshold, over all attacks or of one species (ISO/IEC 30107-3)",
    "worst_apcer": "APCER of the species that does best at the threshold",
    "bpcer": "share of bona fide items at or above the threshold (ISO/IEC 30107-3)",
    "acer": "mean of worst_apcer and bpcer",
    "reasons": "scored photos whose verdict should not be relied on, by the gravest reason; they count in all figures",
    "balanced": "whether every attack family counts the same in figures over several of them; else every item does",
    "low, high": "95 % interval; bootstrap over speakers or persons, or over items where they are not known; with "
    "`level` site over sources, both classes of a source at once; null where no draw defined the figure",
}


@dataclass(frozen=True)
class ScoredTrials:
    """Scores with all data of their items; arrays and lists of one length.

    Attributes:
        scores: float64 (n,), all finite.
        attacks: species, `-` for bona fide.
        subjects: speakers or persons.
        sources: may be empty strings.
    """

    scores: Floats
    attacks: NDArray[np.str_]
    subjects: NDArray[np.str_]
    sources: NDArray[np.str_]

    @classmethod
    def of(cls, trials: Sequence[Trial], scores: Sequence[float]) -> Self:
        """One score per trial."""
        return cls(
            np.asarray(scores, np.float64),
            np.array([trial.attack for trial in trials], np.str_),
            np.array([trial.subject for trial in trials], np.str_),
            np.array([trial.source for trial in trials], np.str_),
        )

    @property
    def spoof(self) -> Flags:
        """The truth, bool (n,)."""
        result: Flags = self.attacks != BONAFIDE
        return result

    def where(self, chosen: Flags) -> "ScoredTrials":
        """Some of the items."""
        return ScoredTrials(self.scores[chosen], self.attacks[chosen], self.subjects[chosen], self.sources[chosen])


def report(
    judged: ScoredTrials,
    threshold: float,
    *,
    rounds: int = 1000,
    balanced: bool = False,
    unseen: Sequence[str] = (),
    by_source: bool = False,
) -> dict[str, Any]:
    """All figures, as JSON types.

    Args:
        judged: at least one item.
        threshold: for the rates at a threshold.
        rounds: of the bootstrap.
        balanced: weight every attack family the same, whatever its number of items.
        unseen: attack families that were not in training; they and the others get figures of their own.
        by_source: intervals redraw sources rather than subjects, but for the figures of a single source.

    Returns:
        `overall`, `attacks` by species, `training` by whether it had them (each against all bona fide items) and
        `sources` by name, each of them a dictionary of counts and figures; a figure is `{"value", "low", "high"}`, the
        ends None where no draw of the bootstrap defined it. A group without one of the classes has only the rate of the
        other.
    """
    species = sorted(set(judged.attacks.tolist()) - {BONAFIDE})
    sources = sorted(set(judged.sources.tolist()) - {""})
    novelty = {"seen": sorted(set(species) - set(unseen)), "unseen": sorted(set(species) & set(unseen))}

    def figures(chosen: Flags) -> dict[str, Any]:
        return group(judged.where(chosen), threshold, rounds=rounds, balanced=balanced, by_source=by_source)

    def against_bonafide(names: Sequence[str]) -> dict[str, Any]:
        return figures(np.isin(judged.attacks, [BONAFIDE, *names]))

    return {
        "overall": group(judged, threshold, rounds=rounds, balanced=balanced, by_source=by_source),
        "attacks": {name: against_bonafide([name]) for name in species},
        "training": {kind: against_bonafide(names) for kind, names in novelty.items() if unseen and names},
        "sources": {
            name: group(judged.where(judged.sources == name), threshold, rounds=rounds, balanced=balanced)
            for name in sources
        },
    }


def group(
    judged: ScoredTrials, threshold: float, *, rounds: int, balanced: bool = False, by_source: bool = False
) -> dict[str, Any]:
    """Counts and figures of one group of items."""
    spoof = judged.spoof
    counts = {
        "bonafide": int((~spoof).sum()),
        "spoof": int(spoof.sum()),
        "bonafide_subjects": len(set(judged.subjects[~spoof].tolist())),
        "spoof_subjects": len(set(judged.subjects[spoof].tolist())),
    }
    names, measure = _both(judged, threshold) if spoof.any() and not spoof.all() else _single(judged, threshold)
    weights = metrics.family_weights(judged.attacks.tolist()) if balanced else np.ones(len(spoof))
    values = measure(weights)
    low, high = metrics.bootstrap(
        lambda times: measure(weights * times),
        spoof,
        (judged.sources if by_source else judged.subjects).tolist(),
        rounds=rounds,
        together=by_source,
    )
    figures = {
        name: {"value": float(value), "low": _or_none(lower), "high": _or_none(upper)}
        for name, value, lower, upper in zip(names, values, low, high, strict=True)
    }
    return counts | figures


def _or_none(end: float) -> float | None:
    return None if np.isnan(end) else float(end)


def reason_counts(trials: Sequence[Trial], reasons: Sequence[str]) -> dict[str, dict[str, int]]:
    """Numbers of items with a reason not to rely on their verdict: by reason, bona fide and spoof.

    Args:
        trials: what was scored.
        reasons: one for each of them, empty where there is none.
    """
    return {
        reason: {
            "bonafide": sum(found == reason and not trial.spoof for trial, found in zip(trials, reasons, strict=True)),
            "spoof": sum(found == reason and trial.spoof for trial, found in zip(trials, reasons, strict=True)),
        }
        for reason in sorted(set(reasons) - {""})
    }


Measure = Callable[[Floats], list[float]]


def _both(judged: ScoredTrials, threshold: float) -> tuple[tuple[str, ...], Measure]:
    spoof, scores = judged.spoof, judged.scores
    ranking = Ranking(scores, spoof)
    _, species = np.unique(judged.attacks[spoof], return_inverse=True)
    accepted = (scores[spoof] < threshold).astype(np.float64)
    within = metrics.WithinGroups(scores, spoof, judged.sources.tolist())

    def measure(weights: Floats) -> list[float]:
        curve = ranking.curve(weights)
        of_spoofs = weights[spoof]
        drawn = np.bincount(species, of_spoofs)
        passed = np.bincount(species, of_spoofs * accepted)
        worst = float((passed[drawn > 0] / drawn[drawn > 0]).max())
        bpcer = metrics.refused_rate(scores[~spoof], threshold, weights[~spoof])
        return [
            metrics.equal_error_rate(curve),
            metrics.min_dcf(curve),
            metrics.cllr(scores, spoof, weights),
            metrics.area_under_curve(curve),
            float(passed.sum() / drawn.sum()),
            worst,
            bpcer,
            (worst + bpcer) / 2,
            *([within.auc(weights)] if within else []),
        ]

    names = ("eer", "min_dcf", "cllr", "auc", "apcer", "worst_apcer", "bpcer", "acer")
    return (*names, *(["within_source_auc"] if within else [])), measure


def _single(judged: ScoredTrials, threshold: float) -> tuple[tuple[str, ...], Measure]:
    """A group of one class only has its one rate at the threshold."""
    if judged.spoof.any():
        return ("apcer",), lambda weights: [metrics.accepted_rate(judged.scores, threshold, weights)]
    return ("bpcer",), lambda weights: [metrics.refused_rate(judged.scores, threshold, weights)]

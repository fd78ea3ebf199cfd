"""From scores per condition of the line to figures: what each does to a detector, which breaks it, what mends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab import metrics
from lab.evaluation.report import ScoredTrials, group
from lab.evaluation.trials import DataError, Trial
from lab.metrics import Ranking
from models.calibration import Floats

DEFINITIONS = {
    "change": "figure under the condition minus the same on the clean files, both of the recordings scored in both; "
    "its interval redraws speakers for both at once",
    "hter": "mean of apcer and bpcer at the model's threshold (half total error rate)",
    "needed": "the least threshold at which at most the share `wanted_bpcer` of the bona fide recordings is refused "
    "under the condition, and what it does there and on the clean files; null: they score 1, no threshold keeps them",
    "equal_error_threshold": "the threshold whose two error rates differ least under the condition",
    "without_score": "recordings in which the service would find nothing to judge under the condition; not counted",
    "broken_by": "conditions whose change of hter lies above 0 with its whole interval, the worst first",
    "worst": "the condition with the highest hter",
    "mended_by_threshold": "whether the worst condition's change of EER is not above 0 beyond chance",
}
MEASURED, NOT_RUN = "measured", "not_run"


@dataclass(frozen=True)
class Outcome:
    """What was found under one condition.

    Attributes:
        name: of the condition.
        description: of what it does.
        scores: one for each trial, None where there is none; empty if it was not run.
        windows: how many there are, and how many without speech.
        missing: why it was not run, or empty.
    """

    name: str
    description: str
    scores: Sequence[float | None] = ()
    windows: Mapping[str, int] | None = None
    missing: str = ""


def condition_report(
    trials: Sequence[Trial],
    outcomes: Sequence[Outcome],
    threshold: float,
    *,
    wanted_bpcer: float | None = None,
    rounds: int = 1000,
) -> dict[str, Any]:
    """All figures, as JSON types.

    Args:
        trials: what was scored.
        outcomes: of each condition; the first is that of the clean files.
        threshold: the model's.
        wanted_bpcer: which the needed threshold has to keep, 0..1; by default the one of the clean files.
        rounds: of the bootstrap.

    Returns:
        `wanted_bpcer`, `conditions` in the order of the outcomes, and `summary`; see `DEFINITIONS`.

    Raises:
        DataError: the clean files of a class have no score, or the clean BPCER is 1 and no other one is wanted.
    """
    clean = _scored(trials, outcomes[0])
    if clean is None:
        raise DataError("one of the classes has no scored item on the clean files")
    if wanted_bpcer is None:
        wanted_bpcer = metrics.refused_rate(clean.scores[~clean.spoof], threshold)
        if wanted_bpcer >= 1:
            raise DataError("all bona fide recordings are refused at the threshold as they are: name a --bpcer")
    rows = [
        _row(trials, outcome, outcomes[0], clean, threshold, wanted_bpcer=wanted_bpcer, rounds=rounds)
        for outcome in outcomes
    ]
    return {"wanted_bpcer": wanted_bpcer, "conditions": rows, "summary": _summary(rows)}


def _row(
    trials: Sequence[Trial],
    outcome: Outcome,
    first: Outcome,
    clean: ScoredTrials,
    threshold: float,
    *,
    wanted_bpcer: float,
    rounds: int,
) -> dict[str, Any]:
    head = {"name": outcome.name, "description": outcome.description}
    if outcome.missing:
        return {**head, "status": NOT_RUN, "reason": outcome.missing}
    judged = _scored(trials, outcome)
    if judged is None:
        return {**head, "status": NOT_RUN, "reason": "no recording of one of the classes has anything to judge"}
    silent = [trial for trial, score in zip(trials, outcome.scores, strict=True) if score is None]
    return {
        **head,
        "status": MEASURED,
        **group(judged, threshold, rounds=rounds),
        "hter": (_rates(judged, threshold)[1] + _rates(judged, threshold)[2]) / 2,
        "windows": dict(outcome.windows or {}),
        "without_score": {
            "bonafide": sum(not trial.spoof for trial in silent),
            "spoof": sum(trial.spoof for trial in silent),
        },
        "change": {} if outcome is first else _change(trials, first, outcome, threshold, rounds),
        "needed": _needed(judged, clean, wanted_bpcer),
        "equal_error_threshold": metrics.equal_error_threshold(Ranking(judged.scores, judged.spoof).curve()),
    }


def _scored(trials: Sequence[Trial], outcome: Outcome) -> ScoredTrials | None:
    """The recordings with a score; None when a class has none."""
    kept = [(trial, score) for trial, score in zip(trials, outcome.scores, strict=True) if score is not None]
    if len({trial.spoof for trial, _ in kept}) < 2:
        return None
    return ScoredTrials.of([trial for trial, _ in kept], [score for _, score in kept])


def _rates(judged: ScoredTrials, threshold: float, weights: Floats | None = None) -> tuple[float, float, float]:
    """EER, APCER over all attacks, and BPCER."""
    spoof, scores = judged.spoof, judged.scores
    mass = np.ones(len(scores)) if weights is None else weights
    return (
        metrics.eer(scores, spoof, mass),
        metrics.accepted_rate(scores[spoof], threshold, mass[spoof]),
        metrics.refused_rate(scores[~spoof], threshold, mass[~spoof]),
    )


def _change(
    trials: Sequence[Trial], first: Outcome, outcome: Outcome, threshold: float, rounds: int
) -> dict[str, dict[str, float]]:
    both = [
        (trial, before, after)
        for trial, before, after in zip(trials, first.scores, outcome.scores, strict=True)
        if before is not None and after is not None
    ]
    common = [trial for trial, _, _ in both]
    pair = (
        ScoredTrials.of(common, [before for _, before, _ in both]),
        ScoredTrials.of(common, [after for _, _, after in both]),
    )

    def measure(weights: Floats) -> list[float]:
        before, after = (np.array(_rates(judged, threshold, weights)) for judged in pair)
        eer, apcer, bpcer = (after - before).tolist()
        return [eer, apcer, bpcer, (apcer + bpcer) / 2]

    values = measure(np.ones(len(both)))
    low, high = metrics.bootstrap(measure, pair[0].spoof, pair[0].subjects.tolist(), rounds=rounds)
    return {
        name: {"value": value, "low": float(lower), "high": float(upper)}
        for name, value, lower, upper in zip(("eer", "apcer", "bpcer", "hter"), values, low, high, strict=True)
    }


def _needed(judged: ScoredTrials, clean: ScoredTrials, wanted_bpcer: float) -> dict[str, float] | None:
    threshold = metrics.threshold_for_bpcer(judged.scores[~judged.spoof], wanted_bpcer)
    if threshold > 1:
        return None
    _, apcer, bpcer = _rates(judged, threshold)
    _, clean_apcer, clean_bpcer = _rates(clean, threshold)
    return {
        "threshold": threshold,
        "apcer": apcer,
        "bpcer": bpcer,
        "clean_apcer": clean_apcer,
        "clean_bpcer": clean_bpcer,
    }


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    measured = [row for row in rows[1:] if row["status"] == MEASURED]
    ranked = sorted(measured, key=lambda row: -float(row["hter"]))
    broken = [row["name"] for row in ranked if row["change"]["hter"]["low"] > 0]
    worst = ranked[0] if ranked else None
    return {
        "broken_by": broken,
        "worst": worst["name"] if worst else None,
        "mended_by_threshold": worst["change"]["eer"]["low"] <= 0 if worst else None,
        "needed": worst["needed"] if worst else None,
        "not_run": [row["name"] for row in rows if row["status"] == NOT_RUN],
    }

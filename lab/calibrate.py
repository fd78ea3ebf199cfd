"""Fits probabilities and a threshold to data: `python -m lab.calibrate --model REF --data DATA --bpcer 0.05`.

Data in, `calibration.json` beside the weights out; the service applies it at its next start. Use data that
resemble the service's input, that the model was not trained on, and that it will not be evaluated on.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from lab import metrics
from lab.arguments import new_parser, overrides, run
from lab.evaluate import add_data_options, judged_items, read_trials, score_trials
from lab.evaluation.report import ScoredTrials
from lab.evaluation.score_file import Scored
from lab.evaluation.trials import DataError
from lab.fitting import fit, fit_weights
from lab.served import ServedModel
from lab.uncertainty import Uncertainty, fit_band
from models.calibration import Calibration, Floats, calibration_path, score_counts, write_calibration
from models.configured import settings_for
from models.ensemble import Ensemble
from models.fusion import fused_log_odds

Method = Literal["weights", "platt", "temperature", "none"]
_FIGURES = ("bpcer", "apcer", "items", "people", "bonafide_people")
"""Of `Uncertainty`, in the file and on the terminal."""
_EPILOG = """\
The calibration is fitted to single windows or photos, by logistic regression on their log odds, both classes weighing
the same; of an ensemble whose rule is log_odds, on those of its members, which gives their weights. The threshold is
then the least one at which at most a share BPCER of the bona fide recordings or photos of these data is refused; on
other data the share will differ. DATA is what `python -m lab.evaluate` takes.

With --uncertain, scores within a band around the threshold are left undecided: it is the narrowest outside which at
most a share RATE of the bona fide items is decided to be spoof, and at most a share RATE of the spoofs bona fide. The
service then answers a third way, in `decision`.

examples:
  python -m lab.calibrate --model my-model/ --data manifest.jsonl --split dev --bpcer 0.01
  python -m lab.calibrate --model my-model/ --data manifest.jsonl --split dev --bpcer 0.05 --uncertain 0.01
"""


def calibrate(arguments: argparse.Namespace) -> tuple[Calibration, Path, dict[str, float]]:
    """Fits and writes a calibration as given by the options.

    Returns:
        The calibration, the file that it was written to, and figures on the data that it was fitted to.

    Raises:
        DataError: the data are not sufficient for a calibration.
        ModelError: the model cannot be served.
    """
    dataset, task = read_trials(arguments, usual_split="dev")
    served = ServedModel(arguments.model, task, settings_for(task, **overrides(arguments)), calibrated=False)
    method = _method(arguments.method, served)  # before all is scored for a method that it does not take
    scored = score_trials(served, dataset.trials, arguments)
    items, _ = judged_items(served, dataset.trials, scored, by_window=True)
    members = _members(served, scored)
    try:
        probabilities = _fitted(items, members, method, served.info.version)
    except ValueError as error:
        raise DataError(str(error)) from error
    whole, without = judged_items(served, dataset.trials, [_calibrated(each, probabilities) for each in scored])
    threshold = metrics.threshold_for_bpcer(whole.scores[~whole.spoof], arguments.bpcer)
    if threshold > 1:
        raise DataError(
            f"more than a share {arguments.bpcer:g} of the bona fide items gets a score of 1: no threshold keeps them"
        )
    applied = _applied(probabilities, items.scores, members)
    undecided = _undecided(whole, arguments.uncertain, threshold)
    figures = {
        "bpcer": metrics.refused_rate(whole.scores[~whole.spoof], threshold),
        "apcer": metrics.accepted_rate(whole.scores[whole.spoof], threshold),
        "cllr_before": metrics.cllr(items.scores, items.spoof),
        "cllr_after": metrics.cllr(applied, items.spoof),
    }
    fitted: dict[str, Any] = {
        "method": method,
        "wanted_bpcer": arguments.bpcer,
        "data": arguments.data.name,
        "kind": dataset.kind,
        "split": arguments.split or "",
        "bonafide": int((~whole.spoof).sum()),
        "spoof": int(whole.spoof.sum()),
        "without_score": len(without),
        **figures,
    }
    if undecided is not None:
        fitted["uncertain"] = {"wanted_rate": arguments.uncertain, **_in_figures(undecided)}
        figures |= _in_figures(undecided, "uncertain_")
    if probabilities.weights:
        fitted["weights"] = served.info.named(probabilities.weights)
    band = None if undecided is None else undecided.band
    scores = score_counts(applied, items.spoof)
    calibration = replace(probabilities, threshold=threshold, fitted=fitted, uncertain=band, scores=scores)
    path = arguments.out or calibration_path(Path(served.info.local_path))
    write_calibration(calibration, path)
    return calibration, path, figures


def _undecided(whole: ScoredTrials, rate: float | None, threshold: float) -> Uncertainty | None:
    if rate is None:
        return None
    try:
        return fit_band(whole, rate, threshold)
    except ValueError as error:
        raise DataError(f"--uncertain: {error}") from error


def _in_figures(undecided: Uncertainty, prefix: str = "") -> dict[str, float]:
    return {prefix + name: getattr(undecided, name) for name in _FIGURES}


def _method(given: Method | None, served: ServedModel) -> Method:
    """The method in the options, or the usual one of such a model.

    Raises:
        DataError: weights are to be fitted of what has none.
    """
    weighted = isinstance(served.detector, Ensemble) and served.detector.fusion.rule == "log_odds"
    if given == "weights" and not weighted:
        raise DataError(f"--method weights is for ensembles whose rule is log_odds, and {served.info.name} is none")
    return given or ("weights" if weighted else "platt")


def _members(served: ServedModel, scored: Sequence[Scored]) -> Floats:
    """The members' scores of each window or photo that counts, (n, members)."""
    rows = [row for each in scored if served.combined(each) is not None for row in served.judged_members(each)]
    return np.array(rows, np.float64).reshape(len(rows), -1)


def _fitted(items: ScoredTrials, members: Floats, method: Method, version: str) -> Calibration:
    """Without its threshold.

    Raises:
        ValueError: it would turn the model over.
    """
    if method == "weights":
        weights, offset = fit_weights(members, items.spoof)
        return Calibration(1.0, offset, 0.5, version, weights=weights)
    scale, offset = fit(items.scores, items.spoof, method)
    return Calibration(scale, offset, 0.5, version)


def _applied(calibration: Calibration, scores: Floats, members: Floats) -> NDArray[np.float32]:
    if calibration.weights:
        return fused_log_odds(members.astype(np.float32), calibration.weights, calibration.offset)
    return calibration.apply(scores.astype(np.float32))


def _calibrated(scored: Scored, calibration: Calibration) -> Scored:
    if not scored.scores:  # of a file that was refused
        return scored
    members = np.array(scored.members, np.float64).reshape(len(scored.scores), -1)
    scores = _applied(calibration, np.asarray(scored.scores, np.float64), members)
    return replace(scored, scores=tuple(scores.tolist()))


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("lab.calibrate", __doc__, _EPILOG)
    add_data_options(parser)
    parser.add_argument(
        "--bpcer", type=share, required=True, metavar="P", help="share of bona fide that may be refused"
    )
    parser.add_argument(
        "--uncertain",
        type=share,
        metavar="RATE",
        help="fit a band, too, outside which both error rates are at most this",
    )
    parser.add_argument(
        "--method",
        choices=get_args(Method),
        help="temperature leaves 0.5 where it is; none fits only the threshold; default: weights for an ensemble whose "
        "rule is log_odds, else platt",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: beside the weights, where it takes effect")
    return parser


def share(text: str) -> float:
    """An error rate of the command line."""
    value = float(text)
    if not (0.0 <= value < 1.0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError("an error rate lies between 0 and 1")
    return value


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    arguments = _parser().parse_args(argv)

    def command() -> None:
        calibration, path, figures = calibrate(arguments)
        console = Console(highlight=False, soft_wrap=True)
        if calibration.weights:
            named = calibration.fitted["weights"].items()
            console.print(", ".join(f"{name}: {weight:.4f}" for name, weight in named), markup=False)
        console.print(f"scale {calibration.scale:.4f}, offset {calibration.offset:+.4f}")
        console.print(
            f"threshold {calibration.threshold:.4f}: BPCER {100 * figures['bpcer']:.1f} %, "
            f"APCER {100 * figures['apcer']:.1f} % on these data"
        )
        if calibration.uncertain:
            lower, upper = calibration.uncertain
            percent = {name: f"{100 * figures[f'uncertain_{name}']:.1f} %" for name in _FIGURES}
            console.print(
                f"undecided from {lower:.4f} to below {upper:.4f}: outside, BPCER {percent['bpcer']}, "
                f"APCER {percent['apcer']}; inside, {percent['items']} of the items, of {percent['people']} "
                f"of the people ({percent['bonafide_people']} by bona fide items)"
            )
        console.print(f"Cllr {figures['cllr_before']:.3f} -> {figures['cllr_after']:.3f} bits")
        if silent := calibration.fitted["without_score"]:
            console.print(f"{silent} files have no score, and were left out", style="yellow")
        console.print(f"written: {path}")

    run(command)


if __name__ == "__main__":
    main()

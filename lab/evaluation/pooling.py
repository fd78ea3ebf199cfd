"""Comparison of statistics that combine a recording's window scores: `python -m lab.evaluation.pooling --help`.

Labelled windows of one voice and one attack are joined to recordings; in a second set, only some windows of each
spoofed recording are spoofed, the others bona fide of the same voice. Data in, a Markdown table out: equal error
rates, and how many real recordings are refused at the threshold at which single windows have theirs, since a threshold
has to fit recordings of any length. `bonafide.verdict.overall_score` rests on it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from lab.arguments import new_parser, overrides, positive, run
from lab.evaluate import add_data_options, read_trials, score_trials
from lab.evaluation.report import ScoredTrials, group
from lab.evaluation.trials import BONAFIDE, DataError, Trial
from lab.metrics import Flags, Ranking, equal_error_threshold, refused_rate
from lab.served import ServedModel
from models.calibration import Floats, logits
from models.configured import settings_for

_EPILOG = """\
example:
  python -m lab.evaluation.pooling --model bundled --data manifest.jsonl --split dev --scores dev.jsonl
"""


@dataclass(frozen=True)
class Recording:
    """Windows that are judged together.

    Attributes:
        trial: with voice and attack.
        windows: (n, 2), score and weight of each; the weight is its seconds of speech.
    """

    trial: Trial
    windows: Floats


Windows = Mapping[tuple[str, str], Sequence[tuple[float, float]]]
"""Score and weight of the judged windows, by voice and attack."""
Statistic = Callable[[Floats, Floats], float]
"""From scores and weights to one score."""


def _log_odds(scores: Floats, weights: Floats) -> float:
    return float(1 / (1 + np.exp(-np.average(logits(scores), weights=weights))))


STATISTICS: Mapping[str, Statistic] = {
    "mean, weighted by seconds of speech": lambda scores, weights: float(np.average(scores, weights=weights)),
    "mean": lambda scores, weights: float(scores.mean()),
    "mean of the log odds, weighted": _log_odds,
    "median": lambda scores, weights: float(np.median(scores)),
    "mean of the highest two": lambda scores, weights: float(np.sort(scores)[-2:].mean()),
    "highest": lambda scores, weights: float(scores.max()),
}


def whole(windows: Windows, count: int) -> list[Recording]:
    """Recordings of `count` windows that are real or spoofed throughout."""
    return [
        Recording(_trial(subject, attack), np.array(found[start : start + count]))
        for (subject, attack), found in windows.items()
        for start in range(0, len(found) - count + 1, count)
    ]


def partly(windows: Windows, count: int, spoofed: int) -> list[Recording]:
    """The real recordings, and for each attack on their voices one in which only the first windows are spoofed."""
    found = []
    for recording in whole(windows, count):
        if recording.trial.spoof:
            continue
        found.append(recording)
        for (subject, attack), others in windows.items():
            if subject == recording.trial.subject and attack != BONAFIDE and len(others) >= spoofed:
                mixed = np.concatenate([np.array(others[:spoofed]), recording.windows[spoofed:]])
                found.append(Recording(_trial(subject, attack), mixed))
    return found


def table(columns: Mapping[str, Sequence[Recording]], singles: Sequence[Recording], rounds: int) -> str:
    """Rates in percent by statistic, equal error rates with their intervals over voices.

    Args:
        columns: sets of recordings; of the first one, those refused are counted too.
        singles: recordings of one window each.
        rounds: of the bootstrap.

    Raises:
        DataError: a set of recordings has one class only.
    """
    for name, recordings in columns.items():
        if len({recording.trial.spoof for recording in recordings}) < 2:
            raise DataError(f"too few windows of one voice and attack for recordings ({name})")
    heads = [f"EER, {name}: {_counts(recordings)}" for name, recordings in columns.items()]
    heads.append("real ones refused at the threshold of single windows")
    real = [recording for recording in next(iter(columns.values())) if not recording.trial.spoof]
    threshold = equal_error_threshold(Ranking(*_judged(singles, STATISTICS["mean"])).curve())
    lines = ["| statistic | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for name, statistic in STATISTICS.items():
        cells = [_error(recordings, statistic, rounds) for recordings in columns.values()]
        cells.append(f"{100 * refused_rate(_judged(real, statistic)[0], threshold):.1f} %")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _trial(subject: str, attack: str) -> Trial:
    return Trial(Path(), attack, subject)


def _counts(recordings: Sequence[Recording]) -> str:
    spoofs = sum(recording.trial.spoof for recording in recordings)
    return f"{len(recordings) - spoofs} real, {spoofs} spoofed"


def _error(recordings: Sequence[Recording], statistic: Statistic, rounds: int) -> str:
    scores, _ = _judged(recordings, statistic)
    trials = [recording.trial for recording in recordings]
    figure = group(ScoredTrials.of(trials, scores.tolist()), 0.5, rounds=rounds)["eer"]
    return f"{100 * figure['value']:.1f} % ({100 * figure['low']:.1f}-{100 * figure['high']:.1f})"


def _judged(recordings: Sequence[Recording], statistic: Statistic) -> tuple[Floats, Flags]:
    scores = [statistic(recording.windows[:, 0], recording.windows[:, 1]) for recording in recordings]
    return np.array(scores), np.array([recording.trial.spoof for recording in recordings])


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = new_parser("lab.evaluation.pooling", __doc__ or "", _EPILOG)
    add_data_options(parser)
    parser.add_argument("--windows", type=positive, default=5, metavar="N", help="in a recording (%(default)s)")
    parser.add_argument(
        "--spoofed", type=positive, default=1, metavar="N", help="of them, in the second set (%(default)s)"
    )
    parser.add_argument("--rounds", type=positive, default=1000, metavar="N", help="of the bootstrap (%(default)s)")
    arguments = parser.parse_args(argv)

    def command() -> None:
        dataset, task = read_trials(arguments, usual_split="dev")
        if task != "voice" or not 0 < arguments.spoofed < arguments.windows:
            raise DataError("recordings are made of voices' windows, some of them spoofed and some real")
        served = ServedModel(arguments.model, task, settings_for(task, **overrides(arguments)))
        windows: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for trial, scored in zip(dataset.trials, score_trials(served, dataset.trials, arguments), strict=True):
            windows[trial.subject, trial.attack] += served.judged(scored)
        columns = {
            f"all {arguments.windows} windows spoofed": whole(windows, arguments.windows),
            f"{arguments.spoofed} of {arguments.windows} spoofed": partly(
                windows, arguments.windows, arguments.spoofed
            ),
        }
        Console().print(
            table(columns, whole(windows, 1), arguments.rounds), markup=False, highlight=False, soft_wrap=True
        )

    run(command)


if __name__ == "__main__":
    main()

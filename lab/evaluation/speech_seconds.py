"""Errors of single windows by their seconds of speech: `python -m lab.evaluation.speech_seconds --help`.

Labelled windows in, a Markdown table out. `audio.conditions.LEAST_SPEECH_S` rests on it.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from rich.console import Console

from lab import metrics
from lab.arguments import new_parser, overrides, run
from lab.evaluate import add_data_options, chosen_threshold, read_trials, score_trials
from lab.evaluation.trials import DataError
from lab.served import ServedModel
from models.calibration import Floats
from models.configured import settings_for

_BOUNDS = (0.0, 1.0, 2.0, 3.0, np.inf)
_EPILOG = """\
example:
  python -m lab.evaluation.speech_seconds --model bundled --data manifest.jsonl --split dev --scores dev.jsonl
"""


def table(windows: Floats, threshold: float) -> str:
    """A row for each range of seconds.

    Args:
        windows: (n, 3): score, seconds of speech, and 1 for spoof, else 0.
        threshold: a score at or above it is labelled spoof.
    """
    lines = ["| seconds of speech | bona fide + spoofed windows | EER | BPCER | APCER |", "|---|---|---|---|---|"]
    for low, high in pairwise(_BOUNDS):
        scores, _, truth = windows[(windows[:, 1] >= low) & (windows[:, 1] < high)].T
        spoof = truth > 0
        if not spoof.any() or spoof.all():
            continue
        rates = (
            metrics.eer(scores, spoof),
            metrics.refused_rate(scores[~spoof], threshold),
            metrics.accepted_rate(scores[spoof], threshold),
        )
        reach = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more"
        cells = [reach, f"{(~spoof).sum()} + {spoof.sum()}", *(f"{100 * rate:.1f} %" for rate in rates)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = new_parser("lab.evaluation.speech_seconds", __doc__ or "", _EPILOG)
    add_data_options(parser)
    arguments = parser.parse_args(argv)

    def command() -> None:
        dataset, task = read_trials(arguments, usual_split="dev")
        if task != "voice":
            raise DataError("photos have no seconds of speech")
        served = ServedModel(arguments.model, task, settings_for(task, **overrides(arguments)))
        windows = [
            (score, weight, float(trial.spoof))
            for trial, scored in zip(dataset.trials, score_trials(served, dataset.trials, arguments), strict=True)
            for score, weight in served.judged(scored)
        ]
        threshold, _ = chosen_threshold(None, served)
        found = np.array(windows, np.float64).reshape(len(windows), 3)
        Console().print(table(found, threshold), markup=False, highlight=False, soft_wrap=True)

    run(command)


if __name__ == "__main__":
    main()

"""Which share of real speech a voice model refuses, by corpus: a mean over all hides the corpus that it dislikes.

    python -m lab.training.voice_refusals --model bundled --data manifest.jsonl --split test

The manifest of `lab.training.data.voice` in, a Markdown table out, at the threshold in force.
"""

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from lab.arguments import new_parser, overrides, run
from lab.evaluate import add_data_options, chosen_threshold, judged_items, read_trials, score_trials
from lab.evaluation.report import ScoredTrials
from lab.metrics import refused_rate
from lab.served import ServedModel
from lab.training.voice_windows import corpus
from models.configured import settings_for

_EPILOG = """\
example:
  python -m lab.training.voice_refusals --model bundled --data manifest.jsonl --split test
"""
_HEAD = ("real speech of", "speakers", "recordings", "refused")


def table(judged: ScoredTrials, threshold: float) -> list[str]:
    """Rows of a Markdown table, by corpus, and one of all.

    Args:
        judged: of both classes; the spoofs do not count.
        threshold: a score at or above it refuses.
    """
    real = judged.where(~judged.spoof)
    corpora = np.array([corpus(subject) for subject in real.subjects.tolist()])
    groups = [(name, corpora == name) for name in sorted(set(corpora.tolist()))]
    rows = []
    for name, chosen in [*groups, ("all", np.ones(len(corpora), np.bool_))]:
        of_corpus = real.where(chosen)
        rate = refused_rate(of_corpus.scores, threshold)
        rows.append(f"| {name} | {len(set(of_corpus.subjects.tolist()))} | {chosen.sum()} | {100 * rate:.1f} % |")
    return [f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|", *rows]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = new_parser("lab.training.voice_refusals", __doc__ or "", _EPILOG)
    add_data_options(parser)
    arguments = parser.parse_args(argv)

    def command() -> None:
        dataset, _ = read_trials(arguments)
        served = ServedModel(arguments.model, "voice", settings_for("voice", **overrides(arguments)))
        judged, _ = judged_items(served, dataset.trials, score_trials(served, dataset.trials, arguments))
        lines = table(judged, chosen_threshold(None, served)[0])
        Console().print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)

    run(command)


if __name__ == "__main__":
    main()

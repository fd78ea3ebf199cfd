"""Robustness of a voice model: `python -m lab.robustness --model REF --data DATA` judges it per condition of the line.

Data in, `robustness.json`, `robustness.png` and `robustness.md` out: error rates on the files as they are, and after
codecs, lost packets, noise, a room and a small loudspeaker. What comes out of each is read and scored as by
`lab.evaluate`, so that the figures of the clean files are the same as there.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from lab.arguments import new_parser, overrides, positive, probability, run, seed
from lab.calibrate import share
from lab.evaluate import (
    DATA_FORMS,
    THRESHOLD_HELP,
    add_data_options,
    chosen_threshold,
    count_windows,
    judged_items,
    read_trials,
    score_trials,
)
from lab.evaluation import plots, report
from lab.evaluation.condition_table import sentences, table
from lab.evaluation.conditions import DEFINITIONS, Outcome, condition_report
from lab.evaluation.trials import DataError, Trial
from lab.line.conditions import Condition, conditions
from lab.line.recording import Line
from lab.served import ServedModel
from models.atomic import atomic
from models.configured import settings_for

_EPILOG = f"""\
conditions:
{chr(10).join(f"  {each.name:<16} {each.description}" for each in conditions())}

With --scores FILE.jsonl, each condition keeps its scores in FILE.CONDITION.jsonl.
A replayed voice keeps its label: what is measured is whether the loudspeaker changes the verdict on the voice.

{DATA_FORMS}
examples:
  python -m lab.robustness --model bundled --data manifest.jsonl --split test
  python -m lab.robustness --model my-model/ --data manifest.jsonl --limit 400 --conditions mu-law,amr --bpcer 0.05
"""


def robustness(arguments: argparse.Namespace) -> dict[str, Any]:
    """Degrades, scores, counts and draws as given by the options.

    Returns:
        The document that is written as `robustness.json`.

    Raises:
        DataError: the data or the options cannot be used.
        ModelError: the model cannot be served.
    """
    chosen = _chosen(arguments.conditions)
    dataset, task = read_trials(arguments)
    if task != "voice":
        raise DataError("conditions of the line are for voices; these are photos")
    served = ServedModel(arguments.model, task, settings_for(task, **overrides(arguments)))
    threshold, origin = chosen_threshold(arguments.threshold, served)
    outcomes = [_outcome(chosen[0], served, dataset.trials, arguments)]
    # What the service refuses or cannot judge as it is would only blur the comparison.
    kept = [place for place, score in enumerate(outcomes[0].scores) if score is not None]
    trials = [dataset.trials[place] for place in kept]
    clean = Outcome(**{**vars(outcomes[0]), "scores": [outcomes[0].scores[place] for place in kept]})
    outcomes = [clean, *(_outcome(condition, served, trials, arguments) for condition in chosen[1:])]
    document: dict[str, Any] = {
        "model": served.info.to_dict(),
        "data": {
            "path": str(arguments.data),
            "kind": dataset.kind,
            "split": arguments.split or "",
            "files": len(dataset.trials),
            "scored": len(trials),
        },
        "seed": arguments.seed,
        "threshold": {"value": threshold, "origin": origin},
        **condition_report(trials, outcomes, threshold, wanted_bpcer=arguments.bpcer, rounds=arguments.rounds),
        "definitions": {**report.DEFINITIONS, **DEFINITIONS},
    }
    _write(document, arguments.out)
    return document


def _chosen(names: str) -> list[Condition]:
    """The conditions named, `clean` first, which all others are compared with.

    Raises:
        DataError: there is no such condition.
    """
    clean, *others = conditions()
    if not names:
        return [clean, *others]
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = {each.name for each in conditions()}
    if wrong := sorted(wanted - known):
        raise DataError(f"--conditions: none is called {', '.join(wrong)}; there are {', '.join(sorted(known))}")
    return [clean, *(each for each in others if each.name in wanted)]


def _outcome(
    condition: Condition, served: ServedModel, trials: Sequence[Trial], arguments: argparse.Namespace
) -> Outcome:
    if missing := condition.missing():
        return Outcome(condition.name, condition.description, missing=missing)
    model = served if condition.degrade is None else served.through(Line(condition, arguments.seed))
    scores: Path | None = arguments.scores
    own = scores and scores.with_name(f"{scores.stem}.{condition.name}{scores.suffix}")
    options = argparse.Namespace(**{**vars(arguments), "scores": own})
    scored = score_trials(model, trials, options, f"{condition.name:<16}")
    if condition.degrade is None:
        judged_items(model, trials, scored)  # raises, with an example, where a class has no score
    return Outcome(
        condition.name,
        condition.description,
        [model.combined(each) for each in scored],
        count_windows(model, scored),
    )


def _write(document: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    with atomic(folder / "robustness.json") as fresh:
        fresh.write_text(text, encoding="utf-8")
    title = f"{document['model']['name']} {document['model']['version']}, {document['data']['kind']}"
    markdown = "\n\n".join([f"# {title}", table(document), " ".join(sentences(document))]) + "\n"
    (folder / "robustness.md").write_text(markdown, encoding="utf-8")
    plots.rates_by_condition(document["conditions"], folder / "robustness.png", title=title)


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("lab.robustness", __doc__ or "", _EPILOG)
    add_data_options(parser)
    parser.add_argument("--out", type=Path, default=Path("robustness"), metavar="DIR", help="results (%(default)s)")
    parser.add_argument("--conditions", default="", metavar="NAME,NAME", help="besides clean; default: all, see below")
    parser.add_argument("--threshold", type=probability, metavar="T", help=THRESHOLD_HELP)
    parser.add_argument(
        "--bpcer", type=share, metavar="P", help="which a threshold has to keep; default: that of the clean files"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of noise, rooms and losses (%(default)s)")
    parser.add_argument("--rounds", type=positive, default=1000, metavar="N", help="of the bootstrap (%(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    arguments = _parser().parse_args(argv)

    def command() -> None:
        document = robustness(arguments)
        console = Console(highlight=False, soft_wrap=True, markup=False)
        console.print(table(document))
        for sentence in sentences(document):
            console.print(sentence)
        if silent := document["data"]["files"] - document["data"]["scored"]:
            console.print(f"{silent} files have no score as they are, and were left out", style="yellow")
        console.print(f"written: {arguments.out}/robustness.json, robustness.png, robustness.md")

    run(command)


if __name__ == "__main__":
    main()

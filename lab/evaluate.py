"""Evaluates a model on labelled data: `python -m lab.evaluate --model REF --data DATA` scores, counts and draws.

Data in, `report.json`, `det.png` and `histogram.png` out. Scores come from the engine that serves, on windows and
photos from the service's own decoder (`lab.served`).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bonafide.audio.reader import checked_hop
from bonafide.errors import InvalidRequest
from lab.arguments import REFERENCES, new_parser, overrides, positive, probability, run
from lab.evaluation import plots
from lab.evaluation.datasets import read_dataset, sample
from lab.evaluation.progress import progress
from lab.evaluation.report import DEFINITIONS, ScoredTrials, reason_counts, report
from lab.evaluation.score_file import Scored, ScoreFile
from lab.evaluation.scoring import score_files
from lab.evaluation.table import show
from lab.evaluation.trials import DataError, Dataset, Trial, chosen_split, task_of
from lab.served import ServedModel
from models.atomic import atomic
from models.configured import settings_for
from models.info import Task

THRESHOLD_HELP = "default: the service's setting, else the calibration's, or 0.5"
DATA_FORMS = """\
DATA is one of:
  manifest.jsonl | manifest.csv        path, label, subject, source, licence, attack, split
  ASVspoof2019.LA.cm.eval.trl.txt      files are looked for beside the folder of the lists
  trial_metadata.txt (2021 LA, DF)     with --media ASVspoof2021_DF_eval --split eval
  ASVspoof5.eval.track_1.tsv           with --media flac_E_eval
  release_in_the_wild/meta.csv
  metas/intra_test/test_label.json     CelebA-Spoof; the .txt list has no attack species
  a folder                             with bonafide (or live) and spoof in it; spoof/NAME/ names an attack
"""
_EPILOG = f"""\
{DATA_FORMS}
examples:
  python -m lab.evaluate --model bundled --data manifest.jsonl --split dev
  python -m lab.evaluate --model bundled --data manifest.jsonl --split test --unseen projection
  python -m lab.evaluate --model my-model/ --data release_in_the_wild/meta.csv --limit 1000 --scores wild.jsonl
"""


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """The options that name what a model is judged on."""
    parser.add_argument("--model", required=True, metavar="REF", help=REFERENCES)
    parser.add_argument("--data", required=True, type=Path, metavar="DATA", help="see below")
    parser.add_argument("--task", choices=("voice", "face"), help="default: derived from the files' names")
    data = parser.add_argument_group("data")
    data.add_argument("--media", type=Path, metavar="DIR", help="folder of the files that a list names")
    data.add_argument("--split", metavar="NAME", help="part of the data, or `all`; needed where there are several")
    data.add_argument("--limit", type=int, metavar="N", help="judge a random sample, the same every time")
    data.add_argument("--allow-missing", action="store_true", help="leave out files that do not exist")
    data.add_argument("--scores", type=Path, metavar="FILE",
                      help="keep scores here, and resume a stopped run; what was refused is tried again when limits "
                           "of the settings have changed")  # fmt: skip
    data.add_argument("--readers", type=positive, default=2, metavar="N", help="threads that read files (%(default)s)")
    data.add_argument(
        "--batch", type=positive, metavar="N", help="windows or photos per call; default: the engine's choice"
    )


def read_trials(arguments: argparse.Namespace, usual_split: str | None = None) -> tuple[Dataset, Task]:
    """The trials in the options, and their task.

    Args:
        arguments: those of `add_data_options`.
        usual_split: taken where the data have it and none is chosen.

    Raises:
        DataError: they cannot be read.
    """
    if arguments.limit is not None and arguments.limit < 2:
        raise DataError("--limit must be at least 2, one item of each class")
    dataset = read_dataset(arguments.data, arguments.media, allow_missing=arguments.allow_missing)
    if arguments.split is None and usual_split in dataset.splits:
        arguments.split = usual_split
    dataset = sample(chosen_split(dataset, arguments.split), arguments.limit)
    if len({trial.spoof for trial in dataset.trials}) < 2:
        raise DataError(f"{arguments.data} has items of one class only; error rates need bona fide and spoof")
    return dataset, arguments.task or task_of(dataset.trials)


def score_trials(
    served: ServedModel, trials: Sequence[Trial], arguments: argparse.Namespace, title: str = ""
) -> list[Scored]:
    """Scores the trials as given by the options, with a progress bar of this title."""
    batch = arguments.batch or 4 * served.info.max_batch_size
    with (
        ScoreFile(arguments.scores, served.identity, served.limits) as kept,
        progress(title or f"scoring with {served.info.name}", len(trials)) as advanced,
    ):
        return score_files(
            [trial.path for trial in trials],
            read=served.read,
            model=served,
            batch=batch,
            threads=arguments.readers,
            kept=kept,
            advanced=advanced,
        )


def judged_items(
    served: ServedModel, trials: Sequence[Trial], scored: Sequence[Scored], *, by_window: bool = False
) -> tuple[ScoredTrials, list[dict[str, str]]]:
    """One score per recording or photo, or per window; windows without speech are left out.

    Returns:
        The scored items, and path and problem of each file without a score.

    Raises:
        DataError: one of the classes is left without scores.
    """
    kept: list[Trial] = []
    scores: list[float] = []
    without = []
    for trial, result in zip(trials, scored, strict=True):
        combined = served.combined(result)
        if combined is None:
            without.append({"path": str(trial.path), "problem": result.problem or served.why_no_score(result)})
            continue
        found = [score for score, _ in served.judged(result)] if by_window else [combined]
        kept += [trial] * len(found)
        scores += found
    if len({trial.spoof for trial in kept}) < 2:
        problem = f", such as {without[0]['path']}: {without[0]['problem']}" if without else ""
        raise DataError(f"one of the classes has no scored item; {len(without)} files have no score{problem}")
    return ScoredTrials.of(kept, scores), without


def count_windows(served: ServedModel, scored: Sequence[Scored]) -> dict[str, int]:
    """How many windows there are, and how many of them the service would not judge for lack of speech."""
    ratios = [ratio for result in scored for ratio in result.speech_ratios]
    return {"all": len(ratios), "no_speech": sum(not served.has_speech(ratio) for ratio in ratios)}


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """Scores, counts and draws as given by the options.

    Returns:
        The document that is written as `report.json`.
    """
    dataset, task = read_trials(arguments)
    unseen = _unseen(arguments.unseen, dataset)
    if arguments.level == "site":
        _check_sources(dataset)
    served = ServedModel(arguments.model, task, settings_for(task, **overrides(arguments)))
    if arguments.hop is not None:
        if task == "face":
            raise DataError("--hop is for recordings; these are photos")
        served = served.every(arguments.hop)
    scored = score_trials(served, dataset.trials, arguments)
    by_window, by_source = task == "voice" and arguments.level == "window", arguments.level == "site"
    judged, without = judged_items(served, dataset.trials, scored, by_window=by_window)
    threshold, origin = chosen_threshold(arguments.threshold, served)
    document: dict[str, Any] = {
        "model": served.info.to_dict(),
        "data": {
            "path": str(arguments.data),
            "kind": dataset.kind,
            "split": arguments.split or "",
            "files": len(dataset.trials),
        },
        "level": "photo" if task == "face" and not by_source else arguments.level,
        **({"windows": count_windows(served, scored)} if task == "voice" else {}),
        "threshold": {"value": threshold, "origin": origin},
        "balanced": arguments.balanced,
        **report(
            judged,
            threshold,
            rounds=arguments.rounds,
            balanced=arguments.balanced,
            unseen=unseen,
            by_source=by_source,
        ),
        "reasons": reason_counts(dataset.trials, [each.reason for each in scored]),
        "not_scored": without,
        "definitions": DEFINITIONS,
    }
    _write(document, judged, arguments.out)
    return document


def _unseen(given: str, dataset: Dataset) -> list[str]:
    """The attack families that `--unseen` names.

    Raises:
        DataError: the data have no such attack.
    """
    names = [name.strip() for name in given.split(",") if name.strip()]
    known = sorted({trial.attack for trial in dataset.trials if trial.spoof})
    if wrong := sorted(set(names) - set(known)):
        raise DataError(f"--unseen: no attack here is called {', '.join(wrong)}; there are {', '.join(known)}")
    return names


def _check_sources(dataset: Dataset) -> None:
    """Raises `DataError` unless there are sources to redraw."""
    sources = {trial.source for trial in dataset.trials}
    if "" in sources or len(sources) < 2:
        raise DataError(
            f"--level site redraws sources, and {len(sources - {''})} of them are named here; "
            "it takes a list that names the source of each item, two at least"
        )


def chosen_threshold(given: float | None, served: ServedModel) -> tuple[float, str]:
    """The threshold, given or the one that the service would label by, and its origin."""
    return served.threshold if given is None else (given, "--threshold")


def _write(document: dict[str, Any], judged: ScoredTrials, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "report.json") as fresh:
        fresh.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    title = f"{document['model']['name']} {document['model']['version']}, {document['data']['kind']}"
    plots.det_curve(judged, folder / "det.png", title=title)
    plots.score_histogram(judged, document["threshold"]["value"], folder / "histogram.png", title=title)


def hop(text: str) -> float:
    """Seconds between the starts of two windows, of the command line."""
    try:
        return checked_hop(float(text))
    except InvalidRequest as error:
        raise argparse.ArgumentTypeError(error.message) from error


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("lab.evaluate", __doc__, _EPILOG)
    add_data_options(parser)
    parser.add_argument("--out", type=Path, default=Path("evaluation"), metavar="DIR", help="results (%(default)s)")
    parser.add_argument("--hop", type=hop, metavar="S", help="seconds between the starts of two windows; default: 4")
    parser.add_argument("--threshold", type=probability, metavar="T", help=THRESHOLD_HELP)
    parser.add_argument(
        "--level",
        choices=("recording", "window", "site"),
        default="recording",
        help="what counts as one item of a voice (%(default)s; the service's overall score); site: the same, "
        "and intervals redraw sources, such as the sites of papers, rather than speakers",
    )
    parser.add_argument(
        "--unseen", default="", metavar="NAME,NAME", help="attacks that were not in training: figures of their own"
    )
    parser.add_argument("--balanced", action="store_true", help="weight every attack the same, not every item")
    parser.add_argument("--rounds", type=positive, default=1000, metavar="N", help="of the bootstrap (%(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    arguments = _parser().parse_args(argv)

    def command() -> None:
        document = evaluate(arguments)
        console = Console()
        show(document, console)
        if silent := document.get("windows", {}).get("no_speech"):
            console.print(f"{silent} of {document['windows']['all']} windows have no speech and do not count")
        if document["not_scored"]:
            console.print(f"{len(document['not_scored'])} files have no score; report.json names them", style="yellow")
        console.print(f"written: {arguments.out}/report.json, det.png, histogram.png", highlight=False)

    run(command)


if __name__ == "__main__":
    main()

"""Fine-tunes a checkpoint on own data: `python -m lab.finetune --base REF --data DATA --out FOLDER`.

A base and labelled files in, a folder out that the service can load. Files are read by the service's own decoder, and
windows without speech are left out, so that training uses what the service judges. The dev split selects the
checkpoint, and the finished folder is evaluated on it once more by the engine that serves.
"""

import argparse
import json
import logging
import math
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from lab.arguments import amount, natural, new_parser, overrides, positive, run, seed
from lab.evaluate import DATA_FORMS
from lab.evaluation.datasets import read_dataset
from lab.evaluation.progress import progress
from lab.evaluation.trials import DataError, Dataset, Trial, task_of
from lab.finetuning.base import Base, open_base
from lab.finetuning.decoded import Decoded, decoded
from lab.finetuning.folder import write_card, write_model
from lab.finetuning.tuning import LOWER_RATE, Plan, tune
from lab.metrics import eer
from lab.resumed import begun_before, digest_of
from lab.served import ServedModel, judged_reader, reading_identity
from models.configured import load_options, settings_for
from models.info import Task
from models.tasks import guess_task

logger = logging.getLogger(__name__)

_EPILOG = f"""\
{DATA_FORMS}
It needs the splits train and dev; dev may be a list or folder of its own (--dev). Other splits are not read, so that
test stays unseen. Speakers and persons should be in one split only.

A training that was stopped is resumed by the same command; until it is finished, its checkpoints and the decoded
data lie in FOLDER.training. Hub ids are downloaded once, such as microsoft/wavlm-base, facebook/wav2vec2-base,
facebook/dinov2-small.

examples:
  python -m lab.finetune --base microsoft/wavlm-base --data manifest.jsonl --out my-voice/
  python -m lab.finetune --base my-face/ --data photos/train --dev photos/dev --frozen 8 --out my-face-2/
"""


def finetune(arguments: argparse.Namespace) -> Path:
    """Fine-tunes as given by the options.

    Returns:
        The folder.

    Raises:
        DataError: the data or the options do not allow a training.
        ModelError: the base is not available, or the result cannot be served.
    """
    out: Path = arguments.out
    if out.exists():
        raise DataError(f"{out} is there already; name another folder, or remove it")
    work = out.with_name(f"{out.name}.training")
    trials = _trials(arguments)
    base = _base(arguments, [*trials["train"], *trials["dev"]])
    arguments.task = base.task
    settings = settings_for(base.task, **overrides(arguments))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    reading = reading_identity(settings, base.geometry)
    facts = {"base": base.version, "data": _fingerprint(trials), "reading": reading, **_choices(arguments)}
    try:
        if begun_before(work, facts):
            logger.info("going on with the training in %s", work)
    except ValueError as error:
        raise DataError(str(error)) from error
    read = judged_reader(settings, base.geometry)
    train, dev = (_decoded(trials[split], read, work / split, arguments.readers) for split in ("train", "dev"))
    plan = _plan(arguments, len(train.trials))
    tuned = tune(base, train, dev, plan, work / "checkpoints")
    finished = work / "model"
    write_model(finished, base, tuned)
    # The names of its classes tell which one is spoof, whatever label the base needed.
    plain = settings_for(base.task, **{**overrides(arguments), "spoof_label": None})
    served = ServedModel(str(finished), base.task, plain)
    engine = f"{served.info.engine}, {served.info.precision}"
    figures = {
        "dev EER of the checkpoint": f"{100 * tuned.dev_eer:.1f} %, at step {tuned.step} of {plan.steps}",
        "dev EER as served": f"{100 * _served_error(served, dev):.1f} % ({engine})",
    }
    how = {"data": arguments.data.name, **asdict(plan)}
    write_card(finished, base, train=train, dev=dev, facts=how, figures=figures)
    finished.rename(out)
    shutil.rmtree(work)
    return out


def _trials(arguments: argparse.Namespace) -> dict[str, tuple[Trial, ...]]:
    """The trials to train on, and those that select the checkpoint."""

    def split(dataset: Dataset, name: str) -> tuple[Trial, ...]:
        found = tuple(trial for trial in dataset.trials if trial.split == name) if dataset.splits else dataset.trials
        if len({trial.spoof for trial in found}) < 2:
            raise DataError(f"the {name} split needs bona fide and spoof items; it has {len(found)} items")
        return found

    data = read_dataset(arguments.data, arguments.media, allow_missing=arguments.allow_missing)
    if arguments.dev:
        chosen = read_dataset(arguments.dev, arguments.media, allow_missing=arguments.allow_missing)
    elif "dev" in data.splits:
        chosen = data
    else:
        raise DataError(f"{arguments.data} has no dev split; name a list or folder with --dev")
    train, dev = split(data, "train"), split(chosen, "dev")
    if both := {trial.subject for trial in train} & {trial.subject for trial in dev}:
        logger.warning("%d people are in train and in dev: the dev error will look better than it is", len(both))
    return {"train": train, "dev": dev}


def _base(arguments: argparse.Namespace, trials: Sequence[Trial]) -> Base:
    """The base, as a model of the task given by the options, else by the base, else by the files."""
    options = load_options("voice", settings_for("voice", **overrides(arguments)))
    task: Task = arguments.task or guess_task(arguments.base, options) or task_of(trials)
    return open_base(arguments.base, task, load_options(task, settings_for(task, **overrides(arguments))))


def _choices(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that cannot change when a training is resumed."""
    names = ("epochs", "steps", "batch", "learning_rate", "frozen", "vary", "looks", "seed")
    return {name: getattr(arguments, name) for name in names}


def _fingerprint(trials: dict[str, tuple[Trial, ...]]) -> str:
    """12 hex digits over the trials of both splits, and the size and time of their files."""
    rows = [
        [split, str(trial.path), trial.attack, trial.subject, (status := trial.path.stat()).st_size, status.st_mtime_ns]
        for split, part in trials.items()
        for trial in part
    ]
    return digest_of(json.dumps(rows).encode())


def _decoded(trials: Sequence[Trial], read: Any, folder: Path, readers: int) -> Decoded:
    with progress(f"reading {folder.name}", len(trials)) as advanced:
        found = decoded(trials, read, folder, threads=readers, advanced=advanced)
    for path, problem in found.problems.items():
        logger.warning("left out, as the service would not judge it: %s: %s", path, problem)
    logger.info("%s: %d items of %d files", folder.name, len(found.trials), len(trials))
    return found


def _plan(arguments: argparse.Namespace, items: int) -> Plan:
    steps = arguments.steps or math.ceil(arguments.epochs * items / arguments.batch)
    return Plan(
        steps=steps,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        frozen=arguments.frozen,
        varied=arguments.vary,
        looks=min(arguments.looks, steps),
        seed=arguments.seed,
        device=arguments.device,
    )


def _served_error(served: ServedModel, dev: Decoded) -> float:
    """The dev windows' or photos' equal error rate, as the engine that serves scores them."""
    size = served.info.max_batch_size
    with progress("judging as served", len(dev.trials)) as advanced:
        scores = []
        for start in range(0, len(dev.trials), size):
            scores.append(served.detector.score(list(dev.arrays[start : start + size])))
            advanced(len(scores[-1]))
    found = np.concatenate(scores)
    if silent := int(np.isnan(found).sum()):
        raise DataError(
            f"as served, the tuned model gives no score to {silent} of {len(found)} dev items; {LOWER_RATE}"
        )
    return eer(found, dev.spoof)


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("lab.finetune", __doc__, _EPILOG)
    parser.add_argument("--base", required=True, metavar="REF", help="`bundled`, a folder, a hub id, or `bento:<tag>`")
    parser.add_argument("--data", required=True, type=Path, metavar="DATA", help="see below")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="written at the end")
    parser.add_argument("--task", choices=("voice", "face"), help="default: as stated by the base")
    data = parser.add_argument_group("data")
    data.add_argument("--dev", type=Path, metavar="DATA", help="list or folder of the dev split, if it is elsewhere")
    data.add_argument("--media", type=Path, metavar="DIR", help="folder of the files that a list names")
    data.add_argument("--allow-missing", action="store_true", help="leave out files that do not exist")
    data.add_argument("--readers", type=positive, default=2, metavar="N", help="threads that read files (%(default)s)")
    how = parser.add_argument_group("training")
    how.add_argument("--epochs", type=amount, default=3.0, metavar="N", help="times as many items as there are (3)")
    how.add_argument("--steps", type=positive, metavar="N", help="instead of --epochs")
    how.add_argument("--batch", type=positive, default=16, metavar="N", help="windows or photos per step (%(default)s)")
    how.add_argument("--learning-rate", type=amount, default=3e-5, metavar="R", help="peak (%(default)s)")
    how.add_argument("--frozen", type=natural, default=0, metavar="N", help="lowest layers that keep their weights (0)")
    how.add_argument("--vary", action="store_true", help="vary room, noise and line each time; photos: mirror")
    how.add_argument(
        "--looks", type=positive, default=10, metavar="N", help="dev evaluations, each with a checkpoint (10)"
    )
    how.add_argument("--seed", type=seed, default=1, metavar="N", help="(%(default)s)")
    how.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(%(default)s)")
    return parser


def _calibration(out: Path, arguments: argparse.Namespace) -> str:
    """The command that calibrates the result on the dev split, which it did not learn from."""
    where = ["--data", arguments.dev or arguments.data]
    media = ["--media", arguments.media] if arguments.media else []
    lenient = ["--allow-missing"] if arguments.allow_missing else []
    task = ["--task", arguments.task] if arguments.task else []  # the files' names may not tell it
    words = ["python", "-m", "lab.calibrate", "--model", out, *where, *media, *lenient, *task, "--bpcer", "0.05"]
    return shlex.join(map(str, words))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    arguments = _parser().parse_args(argv)

    def command() -> None:
        for name in ("lab.finetune", "lab.finetuning", "lab.training"):
            logging.getLogger(name).setLevel(logging.INFO)
        out = finetune(arguments)
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"written: {out}", markup=False)
        console.print(f"next: {_calibration(out, arguments)}", markup=False)

    run(command, kept="the same command goes on from the last checkpoint")


if __name__ == "__main__":
    main()

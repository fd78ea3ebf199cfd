"""Describes a model and whether it can be served: `python -m lab.inspect REF` loads it as the service would."""

import argparse
import logging
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from lab.arguments import REFERENCES, new_parser, overrides, run
from lab.evaluation.trials import DataError
from lab.inspection import SECONDS_PER_WINDOW, Inspection, advice_for, inspect
from models.configured import load_options, settings_for, threshold_of
from models.errors import ModelError
from models.info import ImageGeometry, MemberInfo, ModelInfo, Task
from models.tasks import guess_task

_EPILOG = """\
Exit status: 0 it can be served, 1 it cannot, 2 the command was wrong.

examples:
  python -m lab.inspect bundled
  python -m lab.inspect my-checkpoint/ --engine torch
"""


def show(found: Inspection, console: Console) -> None:
    """Prints a model's description."""
    info = found.info
    alone, batched = found.item_ms
    item = f"window of {SECONDS_PER_WINDOW} s" if info.task == "voice" else "photo"
    table = Table(show_header=False, title=f"{info.name} {info.version}")
    rows = {
        "task": info.task,
        "files": info.local_path,
        "architecture": info.architecture,
        **{f"member {place}": _member(member) for place, member in enumerate(info.members, 1)},
        "classes": ", ".join(f"{index}: {label}" for index, label in enumerate(info.labels)) or _no_names(info),
        "spoof is": found.spoof,
        "input": _input(info),
        "threshold": _threshold(found),
        "licence": found.licence or "not stated",
        "parameters": f"{found.parameters / 1e6:.2f} million, {found.megabytes:.1f} MB",
        "engine": f"{info.engine}, {info.device}, {info.precision}",
        "cost here": f"{alone:.1f} ms per {item}, {batched:.1f} ms in batches of {info.max_batch_size}",
        "on one core": _on_one_core(found, item),
    }
    if found.speech_core_ms is not None:
        rows["finding speech"] = f"{found.speech_core_ms:.1f} ms of CPU time on top"
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table, markup=False)
    for sentence in found.advice:
        console.print(f"- {sentence}", markup=False, highlight=False)


def _threshold(found: Inspection) -> str:
    info = found.info
    fitted = "0.5, not calibrated" if info.threshold is None else f"{info.threshold:.4g}, calibrated"
    if found.set_threshold is None:
        return fitted
    return f"{found.set_threshold:.4g} by BONAFIDE_{info.task.upper()}_THRESHOLD; without it {fitted}"


def _on_one_core(found: Inspection, item: str) -> str:
    if found.core_ms is None:
        return "not measured, as it runs on CUDA"
    speed = f", {1000 * SECONDS_PER_WINDOW / found.core_ms:.0f} times real time" if found.info.task == "voice" else ""
    return f"{found.core_ms:.1f} ms of CPU time per {item}{speed}"


def _member(member: MemberInfo) -> str:
    engine = f"{member.engine}, {member.device}, {member.precision}"
    return f"{member.name} {member.version}, weight {member.weight:.4g}; {engine}"


def _no_names(info: ModelInfo) -> str:
    return "those of its members" if info.members else "one logit"


def _input(info: ModelInfo) -> str:
    if info.geometry is None:
        return f"windows of {info.window_samples} samples at {info.sample_rate} Hz"
    return "; ".join(f"{each.width} x {each.height} pixels, {_preparation(each)}" for each in info.geometries)


def _preparation(geometry: ImageGeometry) -> str:
    steps = []
    if geometry.resize_shortest_edge:
        steps.append(f"shorter side resized to {geometry.resize_shortest_edge}")
    elif geometry.resize_width:
        steps.append(f"resized to {geometry.resize_width} x {geometry.resize_height}")
    if geometry.crop_width:
        steps.append("then cropped at the centre")
    if geometry.face_factor is not None:
        steps.insert(0, f"the face's box times {geometry.face_factor:g}")
    return ", ".join(steps)


def _tasks(arguments: argparse.Namespace) -> Sequence[Task]:
    """The tasks to inspect; `bundled` names two models."""
    if arguments.task:
        return [arguments.task]
    if arguments.model.strip() == "bundled":
        return ["voice", "face"]
    guessed = guess_task(arguments.model, load_options("voice", settings_for("voice", **overrides(arguments))))
    if guessed is None:
        raise DataError(f"cannot tell whether {arguments.model!r} is for voices or faces; say so with --task")
    return [guessed]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = new_parser("lab.inspect", __doc__, _EPILOG)
    parser.add_argument("model", metavar="REF", help=REFERENCES)
    parser.add_argument("--task", choices=("voice", "face"), help="default: as stated by the checkpoint")
    arguments = parser.parse_args(argv)

    def command() -> None:
        console = Console()
        logging.getLogger("models").setLevel(logging.ERROR)  # its warnings are part of the output below
        try:
            for task in _tasks(arguments):
                settings = settings_for(task, **overrides(arguments))
                options, set_threshold = load_options(task, settings), threshold_of(task, settings)
                show(inspect(arguments.model, task, options, set_threshold), console)
        except ModelError as error:
            console.print(f"{arguments.model} cannot be served: {type(error).__name__}", style="red", markup=False)
            console.print(f"{error}", markup=False, highlight=False, soft_wrap=True)
            console.print(advice_for(error), markup=False, highlight=False, soft_wrap=True)
            sys.exit(1)

    run(command)


if __name__ == "__main__":
    main()

"""Shared by the command lines that judge a model: which model, on which engine, and how errors are reported."""

import argparse
import logging
import math
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.logging import RichHandler

from bonafide.environment import WrongSettings
from lab.evaluation.trials import DataError
from models.errors import ModelError

REFERENCES = "`bundled`, a folder, a .pth file (voice only), a hub id (`org/name`), or `bento:<tag>`"
WRONG_USE = 2


def new_parser(program: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser with the options about the model."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model = parser.add_argument_group("model", "The service's settings (BONAFIDE_...) apply where nothing is given.")
    model.add_argument("--engine", choices=("auto", "torch", "openvino"), help="default: the service's setting")
    model.add_argument("--precision", choices=("auto", "fp32", "bf16"), help="default: the service's setting")
    model.add_argument("--threads", type=int, metavar="N", help="CPU threads of the engine; 0: all")
    model.add_argument("--spoof-label", metavar="NAME", help="class that means spoof, when its name does not decide it")
    model.add_argument("--offline", action="store_true", default=None, help="never access the hub")
    return parser


def probability(text: str) -> float:
    """A threshold of the command line."""
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError("a threshold lies in 0..1")
    return value


def positive(text: str) -> int:
    """A number of things of the command line, 1 at least."""
    return _at_least(1, text, "a whole number from 1 on")


def natural(text: str) -> int:
    """A number of things of the command line that may be none."""
    return _at_least(0, text, "a whole number from 0 on")


def seed(text: str) -> int:
    """The seed of a generator, of the command line."""
    return _at_least(0, text, "a seed is 0 or more")


def amount(text: str) -> float:
    """A quantity of the command line, more than 0."""
    value = float(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError("a number above 0")
    return value


def _at_least(least: int, text: str, needed: str) -> int:
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(needed)
    return value


def overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The model options of the command line, by the names of `models.configured.settings_for`."""
    given = {
        "engine": arguments.engine,
        "precision": arguments.precision,
        "engine_threads": arguments.threads,
        "spoof_label": arguments.spoof_label,
        "offline": arguments.offline,
    }
    return {name: value for name, value in given.items() if value is not None}


def run(command: Callable[[], None], *, kept: str = "what is in the score file is kept") -> None:
    """Runs a command; errors that the user can correct are reported in a sentence, with exit status 2.

    Args:
        command: to run.
        kept: message when it is interrupted.
    """
    console = Console(stderr=True)
    handler = RichHandler(console=console, show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    try:
        command()
    except (DataError, ModelError, WrongSettings, OSError) as error:  # the last: a full disk, a file of somebody else
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(WRONG_USE)
    except KeyboardInterrupt:
        console.print(f"stopped; {kept}")
        sys.exit(130)

"""Compares a served model with its shadow: `python -m lab.compare LOG` reads what the service logged of both.

The service's log in, agreement, histograms of scores and the recordings or photos with another label out.
"""

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from lab.arguments import natural, probability, run
from lab.comparison.figures import DEFINITIONS, figures
from lab.comparison.log import Log, read_lines
from lab.comparison.table import show
from lab.evaluation.trials import DataError

_EPILOG = """\
LOG is what the service writes to standard output with BONAFIDE_LOG_FORMAT=json (or `auto` into a file), at the level
INFO: one line for each recording, live session or photo that a second model scored (BONAFIDE_VOICE_SHADOW and
BONAFIDE_FACE_SHADOW). Other lines may stand between, and other text before a line's JSON, as `docker compose logs`
writes it. Scores are rounded to four digits.

Labels are those that were answered, and those that the shadow's threshold gives, unless thresholds are given. A pair of
models is one of a served version and a shadow's version; a log may hold several.

examples:
  python -m lab.compare service.log
  kubectl logs deployment/bonafide-service | python -m lab.compare -
  python -m lab.compare service.log --task voice --shadow-threshold 0.4 --shadow-threshold 0.6 --list 50
  python -m lab.compare service.log --json > comparison.json
"""


def compare(arguments: argparse.Namespace) -> dict[str, object]:
    """Reads and counts as given by the options.

    Returns:
        The document that `--json` prints.

    Raises:
        DataError: a log cannot be read, or has no line of a shadow.
    """
    log = _read(arguments.logs)
    compared = [each for each in log.compared if arguments.task in (None, each.task)]
    if not compared:
        names = ", ".join(map(str, arguments.logs))
        raise DataError(
            f"no line of a shadow{f' of {arguments.task}s' if arguments.task else ''} in {names}; is "
            "BONAFIDE_VOICE_SHADOW or BONAFIDE_FACE_SHADOW set, and the log JSON of the level INFO?"
        )
    return {
        "pairs": figures(compared, arguments.threshold, arguments.shadow_threshold),
        "unreadable_lines": log.unreadable,
        "definitions": DEFINITIONS,
    }


def _read(paths: Sequence[Path]) -> Log:
    log = Log([], 0)
    for path in paths:
        try:
            found = read_lines(_lines(path))
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from error
        log = Log(log.compared + found.compared, log.unreadable + found.unreadable)
    return log


def _lines(path: Path) -> Iterator[str]:
    if str(path) == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # as a file's
        yield from sys.stdin
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.compare",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="file of the log; -: standard input")
    parser.add_argument("--task", choices=("voice", "face"), help="default: both")
    parser.add_argument("--threshold", type=probability, metavar="T", help="of the served model; default: as answered")
    parser.add_argument(
        "--shadow-threshold",
        type=probability,
        action="append",
        default=[],
        metavar="T",
        help="of the shadow, may be repeated; default: as logged",
    )
    parser.add_argument("--list", type=natural, default=20, metavar="N", help="items with another label (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    arguments = _parser().parse_args(argv)

    def command() -> None:
        document = compare(arguments)
        if arguments.json:
            print(json.dumps(document, indent=2, allow_nan=False))  # noqa: T201
            return
        console = Console(highlight=False, markup=False)
        pairs = document["pairs"]
        assert isinstance(pairs, list)  # noqa: S101
        for pair in pairs:
            show(pair, console, arguments.list)
        if unreadable := document["unreadable_lines"]:
            console.print(f"{unreadable} lines of shadows could not be read, and were left out", style="yellow")

    run(command)


if __name__ == "__main__":
    main()

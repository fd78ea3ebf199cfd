"""`bonafide-scan SOURCE --out RESULT`: judges an archive, and goes on where a killed scan has stopped."""

import argparse
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bonafide.environment import WrongSettings
from models.configured import settings_for
from scan.arguments import number
from scan.display import Display
from scan.options import Options
from scan.progress import Progress
from scan.ray_errors import RayEnded, translated
from scan.result import TakenOver
from scan.retries import StorageGone
from scan.selection import Selection
from scan.source import WrongUse

EPILOG = """\
`bonafide-scan report RESULT` draws a result (`bonafide-scan report --help`); an archive in a folder of that name is
./report. Models, limits and thresholds are the service's settings. The exit status is 0 when all is judged, 1 when the
same command has to go on, 2 for wrong use. docs/scan.md has more.
"""
_INTERRUPTED = 128 + signal.SIGINT


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("source", help="a folder, or s3://BUCKET/PREFIX (MINIO_ENDPOINT and its keys apply)")
    parser.add_argument("--out", required=True, help="where the result lies: a folder, or s3://BUCKET/PREFIX")
    parser.add_argument("--task", choices=("voice", "face"), default="voice",
                        help="recordings, or photos of faces (%(default)s)")  # fmt: skip
    parser.add_argument("--keys", metavar="FILE", help="only the keys in this file, one a line; -: standard input")
    parser.add_argument("--include", action="append", default=[], metavar="GLOB", help="only such keys; repeatable")
    parser.add_argument("--since", type=_date, default=0.0, metavar="DATE",
                        help="only objects written since then, e.g. 2024-03-01")  # fmt: skip
    parser.add_argument("--sample", type=number(float, 0, 1), default=1.0, metavar="SHARE",
                        help="of the keys, 0 to 1, always the same ones")  # fmt: skip
    parser.add_argument("--address", help="of a cluster of Ray; default: this machine alone")
    parser.add_argument("--scorers", type=number(int, 1, 10_000), default=1, metavar="N",
                        help="actors that hold a model (%(default)s)")  # fmt: skip
    parser.add_argument("--gpus", type=number(float, 0, 16), default=0.0, metavar="N",
                        help="GPUs of each of them (%(default)s)")  # fmt: skip
    parser.add_argument("--patience", type=number(float, 0, 86_400), default=600.0, metavar="S",
                        help="seconds to wait for a storage that does not answer (%(default)s)")  # fmt: skip
    parser.add_argument("--commit", type=number(float, 0, 86_400), default=30.0, metavar="S",
                        help="seconds between writes of verdicts, at least (%(default)s)")  # fmt: skip
    parser.add_argument("--retry-errors", action="store_true", help="judge again what has an error in the result")


def run(given: argparse.Namespace) -> int:
    """Runs the scan that the options ask for, and tells its progress.

    Returns:
        The exit status, see `EPILOG`.
    """
    console = Console(stderr=True)
    try:
        progress = _scan(given, console)
    except (WrongUse, WrongSettings) as error:
        _say(console, f"{error}")
        return 2
    except (StorageGone, TakenOver, RayEnded) as error:
        _say(console, f"{error}; the same command goes on")
        return 1
    except KeyboardInterrupt:
        _say(console, "interrupted; the same command goes on")
        return _INTERRUPTED
    if progress.finished:
        return 0
    left = progress.total - progress.done + progress.passing
    _say(console, f"{left} objects could not be reached or finished; the same command goes on")
    return 1


def _scan(given: argparse.Namespace, console: Console) -> Progress:
    keys = None if given.keys is None else listed_keys(given.keys)
    task: Any = given.task
    options = Options(
        given.source,
        given.out,
        task,
        Selection(given.include, given.since, given.sample),
        keys=keys,
        address=given.address,
        scorers=given.scorers,
        gpus=given.gpus,
        patience_s=given.patience,
        commit_s=given.commit,
        retry_errors=given.retry_errors,
    )
    settings = settings_for(task)
    from scan.run import scan  # Ray takes seconds, which a wrong command need not wait for

    with Display(console) as display, translated():
        return scan(options, settings, display.tell)


def listed_keys(path: str) -> list[str]:
    """The lines of a list of keys that are not blank; each ends in LF or CRLF.

    Args:
        path: of a UTF-8 file, with or without a byte order mark; `-`: standard input.

    Raises:
        WrongUse: it cannot be read.
    """
    try:
        # Its bytes: as text, standard input is read in the locale's encoding, and CR ends a line.
        if path == "-":
            os.set_blocking(sys.stdin.fileno(), True)  # else a pause of the pipe would be the end of the list
            content = sys.stdin.buffer.read()
        else:
            content = Path(path).read_bytes()
        lines = content.decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read: {error}") from None
    return [line.removesuffix("\r") for line in lines if line.strip()]


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _date(text: str) -> float:
    """Seconds since 1970; a date without a zone is in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no date such as 2024-03-01") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()

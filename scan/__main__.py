"""`python -m scan SOURCE --out RESULT`: judges an archive, and goes on where a killed scan has stopped."""

import argparse
import fnmatch
import hashlib
import sys
import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from bonafide.environment import WrongSettings
from models.configured import settings_for
from scan.patience import StorageGone
from scan.result import TakenOver
from scan.source import Entry, WrongUse

_EVERY_S = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 all judged, 1 to be continued, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="bonafide-scan", description=__doc__)
    parser.add_argument("source", help="a folder, or s3://BUCKET/PREFIX (MINIO_ENDPOINT and its keys apply)")
    parser.add_argument("--out", required=True, help="where the result lies: a folder, or s3://BUCKET/PREFIX")
    parser.add_argument("--photos", action="store_true", help="photos of faces instead of recordings")
    parser.add_argument("--include", action="append", default=[], metavar="GLOB", help="only such keys; repeatable")
    parser.add_argument("--since", type=_date, metavar="DATE", help="only objects written since then, e.g. 2024-03-01")
    parser.add_argument("--sample", type=float, default=1.0, metavar="SHARE", help="of the keys, always the same ones")
    parser.add_argument("--address", help="of a cluster of Ray; default: this machine alone")
    parser.add_argument("--scorers", type=int, default=1, metavar="N", help="actors that hold a model (default: 1)")
    parser.add_argument("--gpus", type=float, default=0.0, metavar="N", help="GPUs of each of them (default: 0)")
    parser.add_argument("--patience", type=float, default=600.0, metavar="S", help="seconds to wait for a lost storage")
    parser.add_argument("--commit", type=float, default=30.0, metavar="S", help="seconds between commits (default: 30)")
    parser.add_argument("--retry-errors", action="store_true", help="judge again what has an error in the result")
    given = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        return _scan(given, console)
    except (WrongUse, WrongSettings) as error:
        console.print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 2
    except (StorageGone, TakenOver) as error:
        console.print(f"{error}; the same command goes on", markup=False, highlight=False, soft_wrap=True)
        return 1


def _scan(given: argparse.Namespace, console: Console) -> int:
    from scan.run import Options, Progress, scan  # Ray takes seconds, which a wrong command need not wait for

    began, told = time.monotonic(), [-_EVERY_S]

    def wanted(entry: Entry) -> bool:
        if given.include and not any(fnmatch.fnmatchcase(entry.key, each) for each in given.include):
            return False
        return bool(entry.modified >= (given.since or 0.0) and _share(entry.key) < given.sample)

    def tell(progress: Progress) -> None:
        now = time.monotonic()
        if now - told[0] < _EVERY_S and progress.done < progress.total:
            return
        told[0] = now
        rate = progress.done / (now - began)
        left = f"{(progress.total - progress.done) / rate:.0f} s left" if progress.done else "starting"
        console.print(
            f"{progress.done} of {progress.total} ({progress.skipped} before), {rate:.1f}/s, {left}, "
            f"{progress.errors} errors",
            highlight=False,
        )

    task: Any = "face" if given.photos else "voice"
    options = Options(
        given.source,
        given.out,
        task,
        wanted,
        address=given.address,
        scorers=given.scorers,
        gpus=given.gpus,
        patience_s=given.patience,
        commit_s=given.commit,
        retry_errors=given.retry_errors,
    )
    progress = scan(options, settings_for(task), tell)
    return 0 if progress.done == progress.total else 1


def _share(key: str) -> float:
    """A number of 0..1 that is always the same for a key."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest(), "big") / 2**48


def _date(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


if __name__ == "__main__":
    sys.exit(main())

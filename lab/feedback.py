"""What the truth was told about: `python -m lab.feedback export --db DB --task voice --out manifest.jsonl`.

Verdicts of the service's feedback database with the truth in, a manifest out that lab.evaluate, lab.calibrate and
lab.finetune read. The database holds no media: stored objects are found by bucket and key, uploads by the SHA-256 of
copies that the caller has kept.
"""

import argparse
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import get_args

from rich.console import Console

from bonafide.feedback.database import Database, DatabaseFailed
from bonafide.feedback.store import LabelledVerdict, labelled_verdicts
from bonafide.settings import Settings
from lab.arguments import run
from lab.evaluation.trials import DataError
from lab.training.data.manifest import BONAFIDE, NO_ATTACK, SPOOF, Item, Split, write
from models.info import Task

_EPILOG = """\
Objects are looked for in a folder laid out BUCKET/KEY (--objects; of MinIO, `mc mirror` makes one), everything else
in --media, where every file is hashed; so is an object whose file has another SHA-256 than what was judged. What is
found in neither is left out, and counted.

example:
  python -m lab.feedback export --db feedback.db --task voice --objects data/objects --media kept/ --out told.jsonl
  python -m lab.evaluate --model bundled --data told.jsonl --split test
  python -m lab.feedback export --db feedback.db --task voice --objects data/objects --split apart --out told.jsonl
  python -m lab.finetune --base my-model/ --data told.jsonl --out my-model-2/
"""
_APART = "apart"
_TRAIN, _DEV = 0.7, 0.15
"""Shares of the subjects; the others are for the test."""


@dataclass(frozen=True)
class Export:
    """What came of an export.

    Attributes:
        items: rows of the manifest.
        missing: verdicts whose media were not found.
        live: verdicts on live audio, of which there is no file.
    """

    items: tuple[Item, ...]
    missing: tuple[LabelledVerdict, ...]
    live: int


def export(told: Sequence[LabelledVerdict], objects: Path | None, media: Path | None, split: Split | None) -> Export:
    """Finds the media of verdicts.

    A recording or photo that several verdicts are on is one item, however many copies of it there are: with the truth
    that was told last, and the subject of the verdict that was made first, so that what is told later does not move it
    to another split.

    Args:
        told: verdicts on media of one task, in the order in which the truth was told.
        objects: folder laid out `bucket/key`; None: none.
        media: folder of copies, hashed; None: none.
        split: of all items; None: that of `split_of`.

    Raises:
        OSError: a folder cannot be read.
    """
    wanted = {each.sha256 for each in told if each.sha256}
    by_hash = _by_hash(media, wanted) if media is not None and wanted else {}
    found: dict[str, list[tuple[LabelledVerdict, Path]]] = {}
    missing, live = [], 0
    for verdict in told:
        stored = _object(objects, verdict)
        copy = by_hash.get(verdict.sha256)
        if stored is not None:
            path, digest = stored
            found.setdefault(digest, []).append((verdict, path))
        elif copy is not None:
            found.setdefault(verdict.sha256, []).append((verdict, copy))
        elif verdict.source == "live":
            live += 1
        else:
            missing.append(verdict)
    items = [_item(digest, verdicts, split) for digest, verdicts in found.items()]
    return Export(tuple(items), tuple(missing), live)


def split_of(subject: str) -> Split:
    """The split of a subject: by its hash, so that it stays where it is as more is told about others."""
    place = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:4], "big") / 2**32
    return "train" if place < _TRAIN else "dev" if place < _TRAIN + _DEV else "test"


def _item(digest: str, told: Sequence[tuple[LabelledVerdict, Path]], split: Split | None) -> Item:
    """The row of all verdicts on these bytes, of which this is the SHA-256."""
    verdict, path = told[-1]
    first = min((each for each, _ in told), key=lambda each: (each.at, each.request_id))
    # Who speaks is not known; files of one task may belong together.
    subject = first.task_id or first.reference or digest
    return Item(
        path=path.absolute(),
        label=SPOOF if verdict.is_spoof else BONAFIDE,
        subject=subject,
        source=f"feedback:{verdict.codec}",
        licence="",
        attack="unnamed" if verdict.is_spoof else NO_ATTACK,
        split=split or split_of(subject),
        detail=f"request {verdict.request_id}, judged {verdict.label}" + (f": {verdict.note}" if verdict.note else ""),
    )


def _object(objects: Path | None, verdict: LabelledVerdict) -> tuple[Path, str] | None:
    """The file of an object below the folder, and its SHA-256, unless it was written anew since the verdict."""
    if objects is None or not verdict.reference or ".." in PurePosixPath(verdict.reference).parts:
        return None
    path = objects / verdict.reference
    if not path.is_file():
        return None
    digest = _sha256(path)
    # Where every score came from the cache, nothing was read that could have been hashed.
    return (path, digest) if verdict.sha256 in ("", digest) else None


def _by_hash(media: Path, wanted: Iterable[str]) -> Mapping[str, Path]:
    hashes = set(wanted)
    found = {}
    for path in sorted(media.rglob("*")):
        if path.is_file() and (digest := _sha256(path)) in hashes:
            found[digest] = path
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.feedback",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser("export", help="write a manifest")
    command.add_argument(
        "--db", metavar="DB", help="file of SQLite or postgresql:// URL; default: the service's BONAFIDE_FEEDBACK_DB"
    )
    command.add_argument("--task", choices=get_args(Task), required=True, help="which verdicts")
    command.add_argument("--objects", type=Path, metavar="FOLDER", help="stored objects, laid out BUCKET/KEY")
    command.add_argument("--media", type=Path, metavar="FOLDER", help="copies of uploads, under any names")
    command.add_argument(
        "--split",
        choices=(*get_args(Split), _APART),
        default="test",
        help="of all items, or `apart`: 70 %% of the subjects train, 15 %% dev, 15 %% test (default: %(default)s)",
    )
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="manifest, .jsonl or .csv")
    return parser


def _told(location: str | None, task: Task) -> list[LabelledVerdict]:
    if location is None:
        configured = Settings().feedback_db
        if configured is None:
            raise DataError("name the database with --db, or BONAFIDE_FEEDBACK_DB")
        location = configured.get_secret_value()
    if "://" not in location and not Path(location).is_file():
        raise DataError(f"there is no file {location!r}")
    try:
        with Database(location) as database:
            return labelled_verdicts(database, task)
    except (DatabaseFailed, ValueError) as error:
        raise DataError(f"the database cannot be read: {error}") from error


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    arguments = _parser().parse_args(argv)

    def command() -> None:
        told = _told(arguments.db, arguments.task)
        for folder in (arguments.objects, arguments.media):
            if folder is not None and not folder.is_dir():
                raise DataError(f"there is no folder {str(folder)!r}")
        split = None if arguments.split == _APART else arguments.split
        found = export(told, arguments.objects, arguments.media, split)
        if not found.items:
            raise DataError(f"of {len(told)} verdicts with the truth, the media of none were found")
        try:
            write(found.items, arguments.out)
        except ValueError as error:
            raise DataError(str(error)) from error
        console = Console(highlight=False, soft_wrap=True)
        spoofs = sum(item.label == SPOOF for item in found.items)
        console.print(f"written: {arguments.out}, {len(found.items)} files, {spoofs} of them spoof", markup=False)
        if found.missing:
            console.print(f"left out, their media were not found: {len(found.missing)}")
        if found.live:
            console.print(f"left out, live audio without a copy: {found.live}")

    run(command)


if __name__ == "__main__":
    main()

"""The log of records: every line verified, and each chain whole from its first line here to its last.

A record that was cut off, as by a loss of power, may stand behind the last one of a chain. Nothing of it is believed.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .keys import PublicKeys
from .record import EvidenceError, verify_record

_FIRST = "0" * 64
_LONGEST = 64 * 1024 * 1024
_CUT_OFF = re.compile(rb"[\w-]*(\.[\w-]*(\.[\w-]{0,85})?)?\0*")
"""The beginning of a record without all of its signature. Some file systems put zeros for what was not written."""


@dataclass(frozen=True)
class Chain:
    """What a log holds of one chain.

    Attributes:
        name: its id.
        first: number of its first record here; above 0 where older files are not at hand.
        records: that follow each other.
        last: SHA-256 of the last record, hex.
        cut_bytes: behind the last record, of one that is not complete: it is being written, or was cut off, by a loss
            of power or by somebody. 0: there is none.
    """

    name: str
    first: int
    records: int
    last: str
    cut_bytes: int = 0


def verify_log(log: Path, keys: PublicKeys, record: bytes | None = None) -> list[Chain]:
    """Verifies a file of a log, or all `.jws` files of a folder.

    Args:
        log: the file or folder.
        keys: that signed the records.
        record: one that must be in it; None: any.

    Raises:
        OSError: a file cannot be read.
        EvidenceError: a line is no record, a chain has a gap or another order, the record is not in it, or one that is
            not complete stands elsewhere than at the end of its chain.
    """
    paths = sorted(log.glob("*.jws")) if log.is_dir() else [log]
    lines: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    cuts: list[_Cut] = []
    found = record is None
    for path in paths:
        chain = path.name.split(".")[0]
        for number, (line, is_whole) in enumerate(_lines(path), start=1):
            where = f"{path.name}, line {number}"
            if not is_whole and _CUT_OFF.fullmatch(line):
                cuts.append(_Cut(where, chain, max(lines[chain], default=-1), len(line)))
                break
            try:
                place = verify_record(line, keys).place
            except EvidenceError as error:
                raise EvidenceError(f"{where}: {error}") from error
            if place is None:
                raise EvidenceError(f"{where}: the record says that it is in no log")
            chain, index, previous = place
            if index in lines[chain]:
                raise EvidenceError(f"{where}: record {index} of chain {chain} is there twice")
            lines[chain][index] = (previous, hashlib.sha256(line).hexdigest())
            found = found or line == record
    if not found:
        raise EvidenceError("the record is not in the log")
    return [_verified(name, found, [cut for cut in cuts if cut.chain == name]) for name, found in sorted(lines.items())]


@dataclass(frozen=True)
class _Cut:
    """A record that is not complete: where, in which chain, behind which record (-1: before the first), its bytes."""

    where: str
    chain: str
    behind: int
    length: int


def _verified(name: str, records: dict[int, tuple[str, str]], cuts: list[_Cut]) -> Chain:
    """The chain of records by number: the hash before each, and its own."""
    first = min(records, default=0)
    expected = _FIRST if first == 0 else records[first][0]
    for index in range(first, first + len(records)):
        if index not in records:
            raise EvidenceError(f"record {index} of chain {name} is missing")
        previous, own = records[index]
        if previous != expected:
            raise EvidenceError(f"record {index} of chain {name} does not follow the one before it")
        expected = own
    for cut in cuts:
        if cut.behind < max(records, default=-1):
            raise EvidenceError(f"{cut.where}: it ends within a record, and others of chain {name} come after it")
    return Chain(name, first, len(records), expected, sum(cut.length for cut in cuts))


def _lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    """The lines without their newlines, and whether each has one: the last may have none."""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST + 1):
            if len(line) > _LONGEST:
                raise EvidenceError(f"{path.name} holds a record that is too long")
            yield line.removesuffix(b"\n"), line.endswith(b"\n")

"""The log of records: every line verified, and each chain whole from its first line here to its last."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .keys import PublicKeys
from .record import EvidenceError, verify_record

_FIRST = "0" * 64
_LONGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Chain:
    """What a log holds of one chain.

    Attributes:
        name: its id.
        first: number of its first record here; above 0 where older files are not at hand.
        records: that follow each other.
        last: SHA-256 of the last record, hex.
    """

    name: str
    first: int
    records: int
    last: str


def verify_log(log: Path, keys: PublicKeys, record: bytes | None = None) -> list[Chain]:
    """Verifies a file of a log, or all `.jws` files of a folder.

    Args:
        log: the file or folder.
        keys: that signed the records.
        record: one that must be in it; None: any.

    Raises:
        OSError: a file cannot be read.
        EvidenceError: a line is no record, a chain has a gap or another order, or the record is not in it.
    """
    paths = sorted(log.glob("*.jws")) if log.is_dir() else [log]
    lines: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    found = record is None
    for path in paths:
        for number, line in enumerate(_lines(path), start=1):
            where = f"{path.name}, line {number}"
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
    return [_verified(name, found) for name, found in sorted(lines.items())]


def _verified(name: str, records: dict[int, tuple[str, str]]) -> Chain:
    """The chain of records by number: the hash before each, and its own."""
    first = min(records)
    expected = _FIRST if first == 0 else records[first][0]
    for index in range(first, first + len(records)):
        if index not in records:
            raise EvidenceError(f"record {index} of chain {name} is missing")
        previous, own = records[index]
        if previous != expected:
            raise EvidenceError(f"record {index} of chain {name} does not follow the one before it")
        expected = own
    return Chain(name, first, len(records), expected)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(_LONGEST + 1):
            if not line.endswith(b"\n"):
                raise EvidenceError(f"{path.name} ends within a record, or holds one that is too long")
            yield line[:-1]

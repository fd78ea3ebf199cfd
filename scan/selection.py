"""Which objects of an archive belong to a scan."""

import fnmatch
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from scan.source import Entry


@dataclass(frozen=True)
class Selection:
    """Conditions that an object fulfils all of.

    Attributes:
        include: patterns of keys, of which one fits; empty: any key.
        since: seconds since 1970; older objects are left out. 0: none are.
        sample: share of the keys, 0..1, always the same ones.
    """

    include: Sequence[str] = ()
    since: float = 0.0
    sample: float = 1.0

    def takes(self, entry: Entry) -> bool:
        """Whether an object belongs to the scan; one that cannot be looked up has no time."""
        if self.include and not any(fnmatch.fnmatchcase(entry.key, each) for each in self.include):
            return False
        if entry.etag and entry.modified < self.since:
            return False
        return _place_of(entry.key) < self.sample


def _place_of(key: str) -> float:
    """A number of 0..1 that is always the same for a key."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest(), "big") / 2**48

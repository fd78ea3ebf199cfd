"""Detects changes of files: keys and certificates are replaced while the service runs."""

import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

LOOK_S = 1.0
"""Least seconds between two checks of the same files."""
_OF_THE_FILES = (FileNotFoundError, IsADirectoryError, PermissionError, ssl.SSLError)
"""Errors of reading that last as long as the files stay as they are; the last: certificate and key do not fit."""


class _File(NamedTuple):
    """What `stat` says: modified by its owner's account, changed by the kernel's, size in bytes, inode."""

    modified_ns: int
    changed_ns: int
    size: int
    inode: int


_Signature = _File | None


class FileChanges:
    """Compares `stat` results of some files; cheap enough for every call.

    A change is told when it has settled: a file that is being written may be well-formed and lack its end.

    Args:
        paths: the files; a link is followed, so that a mounted Kubernetes secret is noticed too.
        look_s: least seconds between two checks, and those for which a file must not have changed.
    """

    def __init__(self, paths: Sequence[Path], look_s: float = LOOK_S) -> None:
        self._paths = tuple(paths)
        self._look_s = look_s
        self._seen = self._unsettled = self._look()
        self._next_look = time.monotonic() + look_s

    def changed(self) -> bool:
        """True once after each change. Call before reading, so that a change while reading is found next time."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + self._look_s
        found, before = self._look(), self._unsettled
        self._unsettled = found
        if found == self._seen or not (found == before or self._is_old(found)):
            return False
        self._seen = found
        return True

    def is_read_whole(self) -> bool:
        """Whether nothing has changed since `changed` was true; call after reading. If not, `changed` will be again."""
        return self._look() == self._seen

    def failed(self, error: Exception) -> None:
        """Tells that reading has failed. `changed` will be true again unless only another file can be read.

        A process with too many open files, say, can look at a file and not open it.
        """
        if isinstance(error, OSError) and not isinstance(error, _OF_THE_FILES):
            self._seen = ()

    def _look(self) -> tuple[_Signature, ...]:
        return tuple(_signature(path) for path in self._paths)

    def _is_old(self, found: tuple[_Signature, ...]) -> bool:
        """Whether no file has changed lately, so that the next call need not be waited for; by the wall clock."""
        return all(each is None or time.time() - each.changed_ns / 1e9 >= self._look_s for each in found)


def _signature(path: Path) -> _Signature:
    try:
        stat = path.stat()
    except OSError:
        return None
    return _File(stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)

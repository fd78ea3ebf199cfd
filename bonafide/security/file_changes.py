"""Detects changes of files: keys and certificates are replaced while the service runs."""

import time
from collections.abc import Sequence
from pathlib import Path

LOOK_S = 1.0
"""Least seconds between two checks of the same files."""

_Signature = tuple[int, int, int] | None


class FileChanges:
    """Compares `stat` results of some files; cheap enough for every call.

    Args:
        paths: the files; a link is followed, so that a mounted Kubernetes secret is noticed too.
        look_s: least seconds between two checks.
    """

    def __init__(self, paths: Sequence[Path], look_s: float = LOOK_S) -> None:
        self._paths = tuple(paths)
        self._look_s = look_s
        self._seen = self._look()
        self._next_look = time.monotonic() + look_s

    def changed(self) -> bool:
        """True once after each change. Call before reading, so that a change while reading is found next time."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + self._look_s
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        return True

    def _look(self) -> tuple[_Signature, ...]:
        return tuple(_signature(path) for path in self._paths)


def _signature(path: Path) -> _Signature:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino

"""The files in which `prometheus_client` counts for several processes: memory of which nothing is on the disk yet.

It maps a file with holes. Where the disk is full by the time that a hole is written to, the kernel kills the process
(SIGBUS), and each one that takes its place: `CounterFile` asks for room before, and without it writes nothing.
"""

import logging
import mmap
import os
import struct

from prometheus_client import mmap_dict, values

logger = logging.getLogger(__name__)

_HEADER_BYTES = 8
_MOST_BESIDE_KEY = 4 + 8 + 16
"""Bytes of an entry beside its key, at most: the key's length, what fills it up to a multiple of 8, value and time."""


def reserve_room() -> None:
    """Has all metrics of this process counted in a `CounterFile`. Must run before the first of them is made."""
    values.MmapedDict = CounterFile  # type: ignore[assignment,attr-defined]


class CounterFile(mmap_dict.MmapedDict):
    """Values by their keys in a file, as far as the disk has room; it can be read by `MultiProcessCollector`.

    What has no place there is not in `/metrics`, and gets one with its next value once there is room.

    Args:
        filename: made if it is missing; else what is in it is continued.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, filename: str) -> None:
        # In place of the one that is inherited, which maps the file at once.
        self._f = os.fdopen(os.open(filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
        self._fname = filename
        self._capacity = 0
        self._used = _HEADER_BYTES
        self._positions: dict[str, int] = {}
        self._is_full = False
        size = os.fstat(self._f.fileno()).st_size
        if size == 0:
            size = mmap_dict._INITIAL_MMAP_SIZE
            self._f.truncate(size)  # takes no room; readers expect a header
        self._reserve(size)

    def read_value(self, key: str) -> tuple[float, float]:
        """The value of a key and its time; both 0 for a new one."""
        return super().read_value(key) if self._has_place(key) else (0.0, 0.0)  # type: ignore[no-untyped-call]

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Notes the value of a key, which has all that was counted before, if there is a place for it."""
        if self._has_place(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Lets go of the file."""
        if self._capacity:
            self._m.close()
        self._f.close()

    def _has_place(self, key: str) -> bool:
        """Whether a key has a place in the file, or can be given one."""
        if key in self._positions:
            return True
        size = max(self._capacity, mmap_dict._INITIAL_MMAP_SIZE)
        while size < self._used + len(key.encode()) + _MOST_BESIDE_KEY:
            size *= 2
        if size == self._capacity:
            return True
        return self._reserve(size)

    def _reserve(self, size: int) -> bool:
        """Takes room for a file of this size, and maps it; False: there is none."""
        try:
            os.posix_fallocate(self._f.fileno(), 0, size)
            self._m = mmap.mmap(self._f.fileno(), size)
        except OSError as error:
            if not self._is_full:
                logger.warning("new metrics are not shown: no room for their file", extra={"cause": error.strerror})
            self._is_full = True
            return False
        is_first, self._capacity = not self._capacity, size
        if is_first:
            self._continue()
        self._is_full = False
        return True

    def _continue(self) -> None:
        """Reads what an earlier process left, or begins."""
        (used,) = struct.unpack_from("i", self._m, 0)
        self._used = max(used, _HEADER_BYTES)
        struct.pack_into("i", self._m, 0, self._used)
        entries = mmap_dict._read_all_values(self._m, self._used)  # type: ignore[no-untyped-call]
        self._positions = {key: position for key, _, _, position in entries}

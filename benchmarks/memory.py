"""Memory and processor time of processes and all below them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """A process and everything below it; empty when it has ended."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def pss_bytes(processes: Iterable[psutil.Process]) -> int:
    """Their memory, pages that are shared counted in part; those that have ended meanwhile have none.

    Raises:
        psutil.AccessDenied: they belong to somebody else.
    """
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


def allocated_bytes(processes: Iterable[psutil.Process]) -> int:
    """Of that, what they have allocated: without pages of files, whose share changes with other programs that map them.

    Linux only. Those that have ended meanwhile have none.
    """
    total = 0
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in fields if line.startswith("Pss_Anon:"))
    return total


class CpuMeter:
    """Adds up the processor time of a process and all below it, also of those that end between two looks.

    A process that ends takes its time with it where its parent does not wait for it: what it used after the last look
    is lost, so look now and then.

    Args:
        pid: of the uppermost process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: dict[psutil.Process, float] = {}

    def look(self) -> float:
        """User and system time in seconds, of all processes that have been seen."""
        return sum(self.by_process().values())

    def by_process(self) -> Mapping[psutil.Process, float]:
        """The same for each of them."""
        for process in tree(self._pid):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._seen[process] = times.user + times.system
        return self._seen

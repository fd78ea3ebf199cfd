"""Memory and processor time of processes and all below them."""

from collections.abc import Iterable
from contextlib import suppress

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


def cpu_seconds_of(processes: Iterable[psutil.Process]) -> float:
    """User and system time so far, that of children which have ended included."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total

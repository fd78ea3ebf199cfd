"""The processes under a running service, found by what BentoML calls them; they must be there. And the end of any."""

from contextlib import suppress

import psutil

from benchmarks import processes
from scripts.local_service import LocalService


def process_of(service: LocalService, name: str) -> psutil.Process:
    """The worker of `WavLMRunner`, `DINOv2Runner` or `Bonafide`."""
    found = processes.process_of(service, name)
    if found is None:
        raise LookupError(f"no process of {name}")
    return found


def listening_port(process: psutil.Process) -> int:
    """The one port that a runner serves."""
    port = processes.listening_port(process)
    if port is None:
        raise LookupError("no listening socket")
    return port


def all_listen(service: LocalService, count: int, port: int) -> bool:
    """Whether so many of its processes take connections to this port; each begins at a time of its own."""
    listening = 0
    for process in psutil.Process(service.process.pid).children():
        with suppress(psutil.NoSuchProcess):  # one that only helps to start
            listening += any(
                each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in process.net_connections("tcp")
            )
    return listening == count


def has_ended(process: psutil.Process) -> bool:
    """Whether it has, reaped or not: its parent, or its new one, need not have noticed."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

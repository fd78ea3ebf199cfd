"""The processes under a running service, found by what BentoML calls them; they must be there."""

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

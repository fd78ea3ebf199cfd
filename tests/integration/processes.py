"""The processes under a running service, found by what BentoML calls them."""

import psutil

from scripts.local_service import LocalService


def process_of(service: LocalService, name: str) -> psutil.Process:
    """The worker of `WavLMRunner`, `DINOv2Runner` or `Bonafide`."""
    for child in psutil.Process(service.process.pid).children():
        command = child.cmdline()
        if "--service-name" in command and command[command.index("--service-name") + 1] == name:
            return child
    raise LookupError(f"no process of {name}")


def listening_port(process: psutil.Process) -> int:
    """The one port that a runner serves; BentoML hands all of its sockets to all of its children, so by number."""
    command = process.cmdline()
    descriptor = int(command[command.index("--fd") + 1])
    for connection in process.net_connections("tcp"):
        if connection.fd == descriptor:
            return int(connection.laddr.port)
    raise LookupError("no listening socket")

"""The processes of a local service, by the names BentoML gives them: time to the first answer, memory, CPU time."""

import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.memory import CpuMeter, pss_bytes
from models.info import Task
from scripts.local_service import LocalService, start

SERVERS = {"service": "Bonafide", "voice runner": "WavLMRunner", "face runner": "DINOv2Runner"}
DECODING = "decoding"
RUNNER: dict[Task, str] = {"voice": "voice runner", "face": "face runner"}
"""Which of the servers scores."""
_START_TIMEOUT_S = 600.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Memory:
    """Of one process, in bytes.

    Attributes:
        rss: resident, shared pages counted in full.
        pss: resident, shared pages counted in part; None where the system does not let us see it.
    """

    rss: int
    pss: int | None


def process_of(service: LocalService, name: str) -> psutil.Process | None:
    """The server that BentoML calls `name`, as soon as it exists."""
    for child in psutil.Process(service.process.pid).children():
        if service_name(child) == name:
            return child
    return None


def listening_port(process: psutil.Process) -> int | None:
    """Where a server listens; BentoML hands all of its sockets to all of its children, so by descriptor."""
    command = _words(process)
    if "--fd" not in command:
        return None
    descriptor = int(command[command.index("--fd") + 1])
    return next((each.laddr.port for each in process.net_connections("tcp") if each.fd == descriptor), None)


@contextmanager
def ready(folder: Path, env: dict[str, str]) -> Iterator[tuple[LocalService, dict[str, float]]]:
    """A running service, and how long it took to start."""
    service = start(folder / "service.log", env)
    try:
        yield service, start_up(service)
    finally:
        service.stop()


def start_up(service: LocalService) -> dict[str, float]:
    """Waits for all servers; seconds from the supervisor's own start until each answers, under our names for them.

    Raises:
        RuntimeError: the service ended before it answered.
    """
    began = psutil.Process(service.process.pid).create_time()
    with ThreadPoolExecutor(len(SERVERS)) as pool:
        answers = {ours: pool.submit(_until_answering, service, name) for ours, name in SERVERS.items()}
        times = {ours: answer.result() - began for ours, answer in answers.items()}
    service.wait_ready()
    return {**times, "all, ready for calls": time.time() - began}


def memory(service: LocalService) -> dict[str, Memory]:
    """Of the supervisor and each server."""
    found = {"supervisor": psutil.Process(service.process.pid)}
    found |= {ours: each for ours, name in SERVERS.items() if (each := process_of(service, name))}
    return {name: _memory(process) for name, process in found.items()}


class CpuByKind:
    """Processor time of the servers of each kind, and of the decoding processes; see `CpuMeter`."""

    def __init__(self, service: LocalService) -> None:
        self._supervisor = psutil.Process(service.process.pid)
        self._meter = CpuMeter(service.process.pid)
        self._kinds = {self._supervisor: ""}

    def look(self) -> dict[str, float]:
        """User and system time in seconds so far, of all that have been seen, by `SERVERS` and `DECODING`."""
        spent = dict.fromkeys([*SERVERS, DECODING], 0.0)
        for process, seconds in self._meter.by_process().items():
            if process not in self._kinds:
                self._kinds[process] = _kind(process)
            if kind := self._kinds[process]:
                spent[kind] += seconds
        return spent


def _kind(process: psutil.Process) -> str:
    ours = {name: kind for kind, name in SERVERS.items()}
    try:
        return ours.get(service_name(process), DECODING)
    except psutil.NoSuchProcess:  # only decoding processes are replaced while others go on
        return DECODING


def service_name(process: psutil.Process) -> str:
    """What BentoML calls it; empty: no server of BentoML's."""
    command = _words(process)
    return command[command.index("--service-name") + 1] if "--service-name" in command else ""


def _words(process: psutil.Process) -> list[str]:
    """Of its command line; a forked process has written it as one argument."""
    return " ".join(process.cmdline()).split()


def _memory(process: psutil.Process) -> Memory:
    try:
        return Memory(process.memory_info().rss, pss_bytes([process]))
    except psutil.AccessDenied:
        return Memory(process.memory_info().rss, None)


def _until_answering(service: LocalService, name: str) -> float:
    """The time of the first response. BentoML listens before its children run, so one long call is enough."""
    end = time.monotonic() + _START_TIMEOUT_S
    while service.process.poll() is None and time.monotonic() < end:
        try:
            process = process_of(service, name)
            if process and (port := listening_port(process)) and _answers(port, end - time.monotonic()):
                return time.time()
        except (OSError, psutil.Error):
            pass  # not there yet
        time.sleep(_POLL_S)
    raise RuntimeError(f"{name} did not answer:\n{service.log.read_text()[-4000:]}")


def _answers(port: int, timeout_s: float) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=max(1.0, timeout_s)) as answer:
        return bool(answer.status == 200)

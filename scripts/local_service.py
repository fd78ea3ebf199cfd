"""Starts this checkout's service, or a Bento, on free loopback ports, and stops it: for demo, tests and benchmarks."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_LOWEST_PORT = 20_000
"""Below are those of common servers, and of Ray's workers."""
_FEWEST_PORTS = 1_000
_CONNECTION_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Ports that are free at this moment, and that the system gives to no connection before a server listens there."""
    choices = _connection_ports() - _LOWEST_PORT
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = _LOWEST_PORT + secrets.randbelow(choices) if choices >= _FEWEST_PORTS else 0
            one = held.enter_context(socket.socket())
            with suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(one.getsockname()[1])
    return found


def _connection_ports() -> int:
    """The first port that the system gives to connections; 0 where it does not tell."""
    try:
        return int(_CONNECTION_PORTS.read_text().split()[0])
    except OSError:
        return 0


@dataclass
class LocalService:
    """A running service.

    Attributes:
        process: BentoML's supervisor; the three servers are its children.
        http_port: HTTP on 127.0.0.1.
        grpc_ports: gRPC on 127.0.0.1.
        log: everything the processes wrote.
    """

    process: subprocess.Popen[bytes]
    http_port: int
    grpc_ports: tuple[int, int]
    log: Path

    @property
    def url(self) -> str:
        """Base of the HTTP routes."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def live_url(self) -> str:
        """WebSocket of live voices."""
        return f"ws://127.0.0.1:{self.http_port}/ws/detect"

    @property
    def address(self) -> str:
        """GRPC target."""
        return f"127.0.0.1:{self.grpc_ports[0]}"

    def wait_ready(self, timeout_s: float = 180.0) -> None:
        """Returns when `/readyz` answers 200.

        Raises:
            RuntimeError: the process ended, or the time is up; contains the end of the log.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.25)
        raise RuntimeError(f"the service did not become ready:\n{self.log.read_text()[-4000:]}")

    def stop(self, timeout_s: float = 60.0) -> int:
        """Sends SIGTERM and returns the supervisor's exit code; kills the group if it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise


def start(
    log: Path,
    env: Mapping[str, str] | None = None,
    *arguments: str,
    target: str = "service:Bonafide",
    folder: Path = ROOT,
    python: Path = Path(sys.executable),
) -> LocalService:
    """Starts `bentoml serve` on free ports, and does not wait for it.

    Args:
        log: file for everything the processes write.
        env: added to the environment.
        arguments: added to the command line.
        target: what is served: this checkout's service, or a Bento.
        folder: where the command is run.
        python: of the environment whose `bentoml` is run.
    """
    http_port, *grpc_ports = free_ports(3)
    command = [str(python.parent / "bentoml"), "serve", target, *arguments]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                "BENTOML_PORT": str(http_port),
                "BONAFIDE_GRPC_PORTS": ",".join(map(str, grpc_ports)),
                **(env or {}),
            },
        )
    return LocalService(process, http_port, (grpc_ports[0], grpc_ports[1]), log)


@contextmanager
def running(
    log: Path,
    env: Mapping[str, str] | None = None,
    *arguments: str,
    target: str = "service:Bonafide",
    folder: Path = ROOT,
    python: Path = Path(sys.executable),
) -> Iterator[LocalService]:
    """A service that is ready, stopped at the end of the block; see `start`."""
    service = start(log, env, *arguments, target=target, folder=folder, python=python)
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()

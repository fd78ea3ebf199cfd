"""Service processes before a runner without a model, each started by itself, as on several machines."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.local_service import LocalService, free_ports
from tests.integration.parts import part
from tests.servers import start_valkey

_STUB = "tests.integration.stub_runner:Stub"
_START_S = 180.0
_ASKED_EACH = 20
"""So many answers in succession for each process, and all of them have been asked."""


@dataclass(frozen=True)
class StubbedService:
    """It and its settings."""

    service: LocalService
    environment: dict[str, str]


@contextmanager
def stubbed_service(folder: Path, workers: int, **environment: str) -> Iterator[StubbedService]:
    """Valkey, the stub as the voice runner, and the service, ready; there is no face runner.

    Args:
        folder: for logs.
        workers: processes of the service.
        environment: more of its settings.

    Raises:
        RuntimeError: the service does not find the runner.
    """
    voice, http, grpc = free_ports(3)
    with ExitStack() as stack:
        valkey = start_valkey(folder)
        stack.callback(valkey.stop)
        stack.enter_context(part("WavLMRunner", folder / "voice", voice, target=_STUB))
        depends = [f"--depends=WavLMRunner=http://127.0.0.1:{voice}", "--depends=DINOv2Runner=http://127.0.0.1:1"]
        settings = {
            "BONAFIDE_WORKERS": str(workers),
            "BONAFIDE_GRPC_PORTS": str(grpc),
            "REDIS_URL": f"redis://{valkey.address}",
            **environment,
        }
        process = stack.enter_context(part("Bonafide", folder / "service", http, *depends, **settings))
        service = LocalService(process, http, (grpc, grpc), folder / "service")
        _wait(service, workers)
        yield StubbedService(service, settings)


def _wait(service: LocalService, workers: int) -> None:
    """Returns when every process, one of which answers each time, has found the voice runner."""
    end = time.monotonic() + _START_S
    found = 0
    while time.monotonic() < end and service.process.poll() is None:
        try:
            found = found + 1 if httpx.get(f"{service.url}/stats").raise_for_status().json()["voice"]["ready"] else 0
        except httpx.HTTPError:
            found = 0  # not there yet
        if found == _ASKED_EACH * workers:
            return
        time.sleep(0.05 if found == 0 else 0.01)
    raise RuntimeError(f"the service does not find its runner:\n{service.log.read_text()[-4000:]}")

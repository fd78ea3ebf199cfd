"""Service processes before a voice runner without a model, each started by itself, as on several machines."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.local_service import LocalService, free_ports
from tests.integration.parts import part
from tests.integration.processes import all_listen
from tests.integration.tiny_models import tiny_models
from tests.servers import start_valkey

_STUB = "tests.integration.stub_runner:Stub"
_START_S = 180.0
_ASKED_EACH = 20
"""So many answers in succession for each process, and all of them have been asked."""


@dataclass(frozen=True)
class StubbedService:
    """It and its settings.

    Attributes:
        face_port: of the HTTP of the face runner, whether or not there is one.
    """

    service: LocalService
    environment: dict[str, str]
    face_port: int


@contextmanager
def stubbed_service(folder: Path, workers: int, *, faces: bool = False, **environment: str) -> Iterator[StubbedService]:
    """Valkey, the stub as the voice runner, and the service, ready.

    Args:
        folder: for logs.
        workers: processes of the service.
        faces: whether there is a face runner, with a tiny model.
        environment: more of its settings.

    Raises:
        RuntimeError: the service does not find the runners.
    """
    voice, face, http, grpc = free_ports(4)
    with ExitStack() as stack:
        valkey = start_valkey(folder)
        stack.callback(valkey.stop)
        stack.enter_context(part("WavLMRunner", folder / "voice", voice, target=_STUB))
        if faces:
            stack.enter_context(part("DINOv2Runner", folder / "face", face, **tiny_models(), **environment))
        depends = [f"--depends=WavLMRunner=http://127.0.0.1:{voice}", f"--depends=DINOv2Runner=http://127.0.0.1:{face}"]
        settings = {
            "BONAFIDE_WORKERS": str(workers),
            "BONAFIDE_GRPC_PORTS": str(grpc),
            "REDIS_URL": f"redis://{valkey.address}",
            **environment,
        }
        process = stack.enter_context(part("Bonafide", folder / "service", http, *depends, **settings))
        service = LocalService(process, http, (grpc, grpc), folder / "service")
        _wait(service, workers, ("voice", "face") if faces else ("voice",))
        yield StubbedService(service, settings, face)


def _wait(service: LocalService, workers: int, runners: tuple[str, ...]) -> None:
    """Returns when every process takes calls, and, asked one at a time, has found these runners."""
    end = time.monotonic() + _START_S
    found = 0
    while time.monotonic() < end and service.process.poll() is None:
        if not all_listen(service, workers, service.grpc_ports[0]):
            time.sleep(0.25)
            continue
        try:
            stats = httpx.get(f"{service.url}/stats").raise_for_status().json()
            found = found + 1 if all(stats[runner]["ready"] for runner in runners) else 0
        except httpx.HTTPError:
            found = 0  # not there yet
        if found == _ASKED_EACH * workers:
            return
        time.sleep(0.1 if found == 0 else 0.01)
    raise RuntimeError(f"the service does not find its runners:\n{service.log.read_text()[-4000:]}")

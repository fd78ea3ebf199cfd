"""The running service: this checkout's, through its real ports."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from bonafide_client import AsyncBonafideClient
from scripts.local_service import ROOT, LocalService, free_ports, running
from tests.integration.locked import LockedService, locked
from tests.integration.published_service import long_windows, one_minifasnet, published_service
from tests.integration.stored import stored
from tests.integration.tiny_models import tiny_models
from tests.scheduling import ALONE, ALONE_STORED, SHARED, STORED
from tests.servers import minio_server, valkey_server

__all__ = [
    "locked",
    "long_windows",
    "minio_server",
    "one_minifasnet",
    "published_service",
    "stored",
    "valkey_server",
]

SAMPLES = ROOT / "samples"
WEBHOOK_SECRET = "a-secret-of-the-webhook"
RUNNER_TOKEN = "a-token-of-the-runners"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that share a service `alone`, but for those that are marked `beside`, or whose module is.

    Groups those that are `alone`, and the others by the service that they share, for `tests/scheduling.py`.
    """
    for item in items:
        names = set(item.fixturenames) if isinstance(item, pytest.Function) else set()
        shares = names & {"service", "stored"}
        if shares and not item.get_closest_marker("beside"):
            item.add_marker("alone")
        of_stored = "stored" in names
        if item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.xdist_group(ALONE_STORED if of_stored else ALONE))
        elif shares:
            item.add_marker(pytest.mark.xdist_group(STORED if of_stored else SHARED))


@pytest.fixture(scope="session")
def webhook_port() -> int:
    """Where `service` posts verdicts on phone calls, signed with `WEBHOOK_SECRET`."""
    return free_ports(1)[0]


@pytest.fixture(scope="session")
def audiosocket_port() -> int:
    """Where `service` takes calls of AudioSocket."""
    return free_ports(1)[0]


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, webhook_port: int, audiosocket_port: int
) -> Iterator[LocalService]:
    """What `make serve` starts, but with tiny models, and a webhook: objects of the checkout's folder, cache in memory.

    Bundled models take ten times as long, and give all speech-like sounds nearly the same score. `locked` has them.
    """
    environment = {
        **tiny_models(),
        "BONAFIDE_WEBHOOK_URL": f"http://127.0.0.1:{webhook_port}/verdicts",
        "BONAFIDE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "BONAFIDE_AUDIOSOCKET_PORT": str(audiosocket_port),
        "BONAFIDE_RUNNER_TOKEN": RUNNER_TOKEN,
    }
    with running(tmp_path_factory.mktemp("service") / "log", environment) as service:
        yield service


@pytest.fixture
async def client(service: LocalService) -> AsyncIterator[AsyncBonafideClient]:
    async with AsyncBonafideClient(service.address) as client:
        yield client


@pytest.fixture
async def http(service: LocalService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as http:
        yield http


@pytest.fixture
async def bundled(locked: LockedService) -> AsyncIterator[AsyncBonafideClient]:
    """A caller of the service that has the bundled models."""
    async with AsyncBonafideClient(locked.service.address, api_key=locked.keys["bank"]) as client:
        yield client


@pytest.fixture
async def bundled_http(locked: LockedService) -> AsyncIterator[httpx.AsyncClient]:
    """As `bundled`, over HTTP."""
    key = {"authorization": f"Bearer {locked.keys['bank']}"}
    async with httpx.AsyncClient(base_url=locked.service.url, headers=key, timeout=120) as http:
        yield http


@pytest.fixture
def call_mp3() -> Path:
    return SAMPLES / "call.mp3"


@pytest.fixture
def face_jpg() -> Path:
    return SAMPLES / "face.jpg"

"""The running service: this checkout's, through its real ports."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from bonafide_client import AsyncBonafideClient
from scripts.local_service import ROOT, LocalService, running
from tests.integration.stored import stored
from tests.servers import minio_server, valkey_server

__all__ = ["minio_server", "stored", "valkey_server"]

SAMPLES = ROOT / "samples"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """Bundled models, objects from the checkout's folder, cache in memory: what `make serve` starts."""
    with running(tmp_path_factory.mktemp("service") / "log") as service:
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
def call_mp3() -> Path:
    return SAMPLES / "call.mp3"


@pytest.fixture
def face_jpg() -> Path:
    return SAMPLES / "face.jpg"

"""The example backend, end to end: the real service, MinIO, PostgreSQL and Valkey."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from bonafide.security.keys import new_key
from scripts.local_service import ROOT, LocalService, running
from tests.clients.go import BACKEND, go
from tests.integration.processes import process_of
from tests.media import encode, speech_like
from tests.servers import (
    ACCESS_KEY,
    SECRET_KEY,
    Server,
    free_port,
    minio_client,
    start_minio,
    start_postgres,
    start_valkey,
)

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1800)]

CALL = ROOT / "samples/call.mp3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backend")


@pytest.fixture(scope="module")
def minio(folder: Path) -> Iterator[Server]:
    server = start_minio(folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    place = Path(tempfile.mkdtemp(prefix="bonafide-postgres-"))
    server = start_postgres(place)
    yield server
    server.stop()
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    return new_key("backend")


@pytest.fixture(scope="module")
def service(folder: Path, minio: Server, key: tuple[str, str]) -> Iterator[LocalService]:
    valkey = start_valkey(folder)
    environment = {
        "MINIO_ENDPOINT": minio.address,
        "MINIO_ACCESS_KEY": ACCESS_KEY,
        "MINIO_SECRET_KEY": SECRET_KEY,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(valkey.port),
        "BONAFIDE_KEYS": key[1],
        "BONAFIDE_ALLOWED_BUCKETS": "recordings",
    }
    with running(folder / "service.log", environment) as service:
        yield service
    valkey.stop()


@dataclass
class Backend:
    """Starts and ends the program; its data are elsewhere."""

    binary: Path
    environment: dict[str, str]
    log: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> "Iterator[subprocess.Popen[bytes]]":
        """Ready in the block; terminated after it, unless it has ended."""
        with self.log.open("ab") as log:
            process = subprocess.Popen([self.binary], env={**os.environ, **self.environment}, stderr=log)
        try:
            end = time.monotonic() + 60
            while True:
                with suppress(httpx.TransportError):
                    if httpx.get(f"{self.url}/readyz").status_code == 200:
                        break
                assert process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, self.log.read_text()
                time.sleep(0.1)
            yield process
            if process.poll() is None:
                process.terminate()
                assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def backend(folder: Path, minio: Server, postgres: Server, service: LocalService, key: tuple[str, str]) -> Backend:
    go(BACKEND, "build", "-o", folder / "backend", ".")
    (folder / "key").write_text(key[0] + "\n")
    port = free_port()
    environment = {
        "LISTEN": f"127.0.0.1:{port}",
        "DATABASE_URL": f"postgres://bonafide@{postgres.address}/postgres",
        "MINIO_ENDPOINT": minio.address,
        "MINIO_ACCESS_KEY": ACCESS_KEY,
        "MINIO_SECRET_KEY": SECRET_KEY,
        "MAX_UPLOAD_BYTES": "5000000",
        "BONAFIDE_ADDRESS": f"dns:///{service.address}",
        "BONAFIDE_API_KEY_FILE": str(folder / "key"),
    }
    return Backend(folder / "backend", environment, folder / "backend.log", port)


@pytest.fixture
async def http(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=backend.url, timeout=60) as http:
        yield http


async def submit(http: httpx.AsyncClient, recording: bytes) -> dict[str, str]:
    answer = await http.post("/v1/recordings", content=recording)
    assert answer.status_code == 202, answer.text
    links: dict[str, str] = answer.json()
    assert answer.headers["location"] == links["status_url"]
    return links


async def finished(http: httpx.AsyncClient, status_url: str) -> dict[str, Any]:
    async with asyncio.timeout(300):
        while True:
            task: dict[str, Any] = (await http.get(status_url)).json()
            if task["finished_at"]:
                return task
            await asyncio.sleep(0.2)


async def notice(backend: Backend, url: str) -> dict[str, Any]:
    async with connect(f"{backend.url.replace('http', 'ws')}{url}") as socket:
        told: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 300))
        await socket.wait_closed()
        assert socket.close_code == 1000
        return told


async def test_a_recording_is_stored_judged_and_told_of(
    backend: Backend, http: httpx.AsyncClient, service: LocalService
) -> None:
    with backend.running():
        links = await submit(http, CALL.read_bytes())
        told = await notice(backend, links["notice_url"])
        assert told == await finished(http, links["status_url"])
        assert (told["status"], told["error"], told["task_id"]) == ("done", None, links["task_id"])
        assert len(told["result"]["chunks"]) == 3
        assert told["result"]["label"] in ("spoof", "bonafide")
        assert told == await notice(backend, links["notice_url"])  # who comes late is told too

        form = await http.post("/v1/recordings", files={"note": b"first", "file": ("call.mp3", CALL.read_bytes())})
        again = await finished(http, form.json()["status_url"])
        assert again["result"]["predictions"] == told["result"]["predictions"]
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    (ours,) = [line for line in lines if line.get("task_id") == links["task_id"] and line["message"] == "call"]
    assert (ours["caller"], ours["request_id"]) == ("backend", told["result"]["request_id"])


async def test_what_is_wrong_with_a_recording_ends_its_task(backend: Backend, http: httpx.AsyncClient) -> None:
    with backend.running():
        task = await finished(http, (await submit(http, b"no sound at all"))["status_url"])
        assert (task["status"], task["attempts"], task["result"]) == ("failed", 1, None)
        assert task["error"]["code"] == "unreadable_media"
        for body, status in ((b"", 400), (b"x" * 5_000_001, 413)):
            assert (await http.post("/v1/recordings", content=body)).status_code == status
        assert (await http.post("/v1/recordings", files={"other": b"x"})).status_code == 400
        assert (await http.get("/v1/tasks/unknown")).status_code == 404
        assert (await http.get("/v1/tasks/unknown/notice")).status_code == 404


async def test_a_truncated_upload_leaves_nothing(backend: Backend, minio: Server) -> None:
    client = minio_client(minio)
    with backend.running() as process:
        before = [item.object_name for item in client.list_objects("recordings", recursive=True)]
        _reader, writer = await asyncio.open_connection("127.0.0.1", backend.port)
        writer.write(b"POST /v1/recordings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.5)
        writer.transport.abort()
        await asyncio.sleep(0.5)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 60) == 0
    assert [item.object_name for item in client.list_objects("recordings", recursive=True)] == before


async def test_no_task_is_lost_with_a_backend_that_dies(backend: Backend, http: httpx.AsyncClient) -> None:
    recordings = [encode(speech_like(60), 16_000) + bytes([n]) for n in range(6)]
    with backend.running() as process:
        links = [await submit(http, recording) for recording in recordings]
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    with backend.running():
        tasks = [await finished(http, each["status_url"]) for each in links]
    assert [(task["status"], len(task["result"]["chunks"])) for task in tasks] == [("done", 15)] * 6


async def test_no_task_is_lost_with_a_runner_that_dies(
    backend: Backend, http: httpx.AsyncClient, service: LocalService
) -> None:
    with backend.running():
        links = [await submit(http, encode(speech_like(120), 16_000) + bytes([n])) for n in range(4)]
        process_of(service, "WavLMRunner").kill()
        tasks = [await finished(http, each["status_url"]) for each in links]
    assert [(task["status"], len(task["result"]["chunks"])) for task in tasks] == [("done", 30)] * 4


async def test_who_waits_is_told_when_the_backend_leaves(backend: Backend, http: httpx.AsyncClient) -> None:
    with backend.running() as process:
        links = await submit(http, encode(speech_like(150), 16_000))
        async with connect(f"{backend.url.replace('http', 'ws')}{links['notice_url']}") as socket:
            process.terminate()
            await asyncio.wait_for(socket.wait_closed(), 60)
            assert socket.close_code in (1000, 1001)
    with backend.running():
        assert (await finished(http, links["status_url"]))["status"] == "done"

"""Two processes of the service, without a GPU, before runners on other machines, one with a GPU: as one service.

As on Kubernetes: each runner and the service started on its own, found by address.
"""

import asyncio
import json
import os
import re
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.processes import service_name
from bonafide.api.telephony.audiosocket import HANGUP, ID, message
from bonafide_client import AsyncBonafideClient
from scripts.local_service import LocalService, free_ports, start
from tests import phone
from tests.integration.logs import assert_told
from tests.integration.processes import all_listen
from tests.integration.stub_runner import BATCH
from tests.integration.stubbed_service import stubbed_service
from tests.integration.waiting import until
from tests.media import encode, speech_like

WORKERS = 2
CONNECTIONS = 40


@dataclass(frozen=True)
class Workers:
    """The service, its private port, its settings, and the port of its face runner."""

    service: LocalService
    metrics_url: str
    environment: dict[str, str]
    audiosocket_port: int
    face_port: int

    def metrics(self) -> str:
        """Of both processes."""
        return httpx.get(self.metrics_url).raise_for_status().text


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    port, audiosocket_port = free_ports(2)
    folder = tmp_path_factory.mktemp("workers")
    settings = {
        "BONAFIDE_METRICS_PORT": str(port),
        "BONAFIDE_AUDIOSOCKET_PORT": str(audiosocket_port),
        "BONAFIDE_RUNNER_TOKEN": "a-token-of-all-three",
    }
    with stubbed_service(folder, WORKERS, faces=True, **settings) as stubbed:
        metrics_url = f"http://127.0.0.1:{port}/metrics"
        yield Workers(stubbed.service, metrics_url, stubbed.environment, audiosocket_port, stubbed.face_port)


@pytest.mark.slow
async def test_calls_of_audiosocket_reach_both_processes(workers: Workers) -> None:
    async def both_listen() -> bool:
        return all_listen(workers.service, WORKERS, workers.audiosocket_port)

    await until(both_listen, 60)
    streams = [await asyncio.open_connection("127.0.0.1", workers.audiosocket_port) for _ in range(CONNECTIONS)]

    def taken() -> list[int]:
        """How many connections each process has, beside the port itself."""
        return [
            sum(each.laddr.port == workers.audiosocket_port for each in process.net_connections("tcp")) - 1
            for process in processes(workers.service)
        ]

    async def all_are_taken() -> bool:  # the system opens connections before a process takes them
        return sum(taken()) == CONNECTIONS

    await until(all_are_taken, 60)
    assert len(taken()) == WORKERS
    assert all(taken()), taken()
    for reader, writer in streams:
        writer.write(message(ID, uuid.uuid4().bytes) + message(HANGUP))
        async with asyncio.timeout(60):
            assert await reader.read() == message(HANGUP)
        writer.close()
        await writer.wait_closed()


@pytest.mark.slow
def test_runners_and_service_find_each_other(workers: Workers, call_mp3: Path, face_jpg: Path) -> None:
    answer = httpx.post(f"{workers.service.url}/detect_audio", content=call_mp3.read_bytes(), timeout=60)
    assert len(answer.json()["chunks"]) == 3
    answer = httpx.post(f"{workers.service.url}/predict_liveness", content=face_jpg.read_bytes(), timeout=60)
    assert answer.json()["predicted_class"] in ("live", "fake")
    assert 'bonafide_chunks_total{source="runner"}' in workers.metrics()
    face = f"http://127.0.0.1:{workers.face_port}"
    assert httpx.post(f"{face}/info").status_code == 401
    assert 'bentoml_service_adaptive_batch_size_count{method_name="score"' in httpx.get(f"{face}/metrics").text


@pytest.mark.slow
def test_a_gpu_gets_as_many_windows_as_it_says(workers: Workers) -> None:
    recording = encode(np.tile(speech_like(8.0), BATCH), 16_000)
    response = httpx.post(f"{workers.service.url}/detect_audio", content=recording, timeout=60).raise_for_status()
    assert len(response.json()["chunks"]) == 2 * BATCH
    pattern = r'bonafide_batch_items_bucket{le="([0-9.]+)",runner="voice"} ([0-9.]+)'
    sizes = dict(re.findall(pattern, workers.metrics()))
    assert float(sizes[f"{BATCH:.1f}"]) - float(sizes[f"{BATCH / 2:.1f}"]) == 2, sizes


@pytest.mark.slow
async def test_two_processes_are_one_service(workers: Workers) -> None:
    service = workers.service
    assert len(processes(service)) == WORKERS
    assert all(count > 0 for count in connections_of(service, service.grpc_ports[0]).values())
    await calls_of_new_clients(service, 12)
    await all_know_a_phone_call(service)
    for _ in range(6):
        counted = 'bonafide_calls_total{code="ok",method="AnalyzeUpload",transport="grpc"} 12.0'
        assert counted in workers.metrics()


@pytest.mark.slow
def test_a_second_service_does_not_share_its_ports(workers: Workers, tmp_path: Path) -> None:
    port = workers.service.grpc_ports[0]
    second = start(tmp_path / "log", {**workers.environment, "BONAFIDE_METRICS_PORT": ""})
    try:
        assert second.process.wait(60) == 1
    finally:
        second.stop()
    assert_told(second.log.read_text(), f"cannot listen on 127.0.0.1:{port}")
    assert all(process.is_running() for process in processes(workers.service))


def processes(service: LocalService) -> list[psutil.Process]:
    children = psutil.Process(service.process.pid).children()
    return [each for each in children if service_name(each) == "Bonafide"]


def connections_of(service: LocalService, port: int) -> Counter[int]:
    """How many of new connections each process has taken, by its id."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)).recv(1)
        return Counter(
            {
                process.pid: sum(
                    each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED
                    for each in process.net_connections("tcp")
                )
                for process in processes(service)
            }
        )


async def calls_of_new_clients(service: LocalService, count: int) -> None:
    async def call(number: int) -> None:
        async with AsyncBonafideClient(service.address) as client:
            report = await client.analyze_file(encode(speech_like(4.0, seed=number), 16_000))
            assert len(report.chunks) == 1

    await asyncio.gather(*(call(number) for number in range(count)))


async def all_know_a_phone_call(service: LocalService) -> None:
    """Whichever process took it."""
    frames = (phone.CONNECTED, phone.start(), *phone.spoken(os.urandom(8 * phone.FRAME_BYTES)), phone.STOP)
    async with connect(f"ws://127.0.0.1:{service.http_port}/ws/twilio", compression=None) as call:
        for frame in frames:
            await call.send(json.dumps(frame))
        with pytest.raises(ConnectionClosed):
            await call.recv()
    for _ in range(10):
        async with httpx.AsyncClient() as http:
            verdict = await http.get(f"{service.url}/calls/{phone.CALL}")
            assert (verdict.status_code, verdict.json()["status"]) == (200, "done")

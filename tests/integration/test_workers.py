"""Several processes of the service behind the same ports, as one service."""

import asyncio
import json
import os
import socket
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bonafide_client import AsyncBonafideClient
from scripts.local_service import LocalService, free_ports, running, start
from tests import phone
from tests.media import encode, speech_like
from tests.servers import start_valkey

WORKERS = 2
CONNECTIONS = 40


@pytest.mark.slow
async def test_two_processes_are_one_service(tmp_path: Path) -> None:
    valkey = start_valkey(tmp_path)
    (metrics_port,) = free_ports(1)
    environment = {
        "BONAFIDE_WORKERS": str(WORKERS),
        "BONAFIDE_METRICS_PORT": str(metrics_port),
        "REDIS_URL": f"redis://{valkey.address}",
    }
    try:
        with running(tmp_path / "log", environment) as service:
            assert len(processes(service)) == WORKERS
            assert all(count > 0 for count in connections_of(service, service.grpc_ports[0]).values())
            await calls_of_new_clients(service, 12)
            await all_know_a_phone_call(service)
            async with httpx.AsyncClient() as http:
                for _ in range(6):
                    text = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
                    assert 'bonafide_calls_total{code="ok",method="AnalyzeUpload",transport="grpc"} 12.0' in text
            refuses_to_share(service, environment, tmp_path / "second")
            assert all(process.is_running() for process in processes(service))
    finally:
        valkey.stop()


def processes(service: LocalService) -> list[psutil.Process]:
    children = psutil.Process(service.process.pid).children()
    return [each for each in children if "Bonafide" in each.cmdline() and "--service-name" in each.cmdline()]


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


def refuses_to_share(service: LocalService, environment: dict[str, str], log: Path) -> None:
    """A second service on the same gRPC port does not start, although processes of one service may share it."""
    port = service.grpc_ports[0]
    second = start(log, {**environment, "BONAFIDE_GRPC_PORTS": str(port), "BONAFIDE_METRICS_PORT": ""})
    try:
        assert second.process.wait(60) == 1
    finally:
        second.stop()
    assert f"cannot listen on 127.0.0.1:{port}" in log.read_text()

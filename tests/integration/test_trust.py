"""What another program on the same machine, or a page in its browser, can reach of the running service."""

import os
import pickle
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from scripts.local_service import LocalService
from tests.integration.processes import listening_port, process_of

pytestmark = pytest.mark.beside

RUNNERS = ("WavLMRunner", "DINOv2Runner")


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def test_the_supervisor_listens_for_its_children_alone(service: LocalService, audiosocket_port: int) -> None:
    supervisor = psutil.Process(service.process.pid)
    runners = {listening_port(process_of(service, each)) for each in RUNNERS}
    wanted = {service.http_port, *service.grpc_ports, audiosocket_port, *runners}
    listening = {
        connection.laddr.port
        for process in (supervisor, *supervisor.children())
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert wanted <= listening
    assert listening == wanted, "another port would take commands"
    assert not [connection.laddr for connection in supervisor.net_connections("unix") if connection.laddr]


@pytest.mark.parametrize("runner", RUNNERS)
async def test_a_runner_unpickles_only_what_the_service_sends(
    service: LocalService, tmp_path: Path, runner: str
) -> None:
    body = pickle.dumps({"items": [Trap(tmp_path / "run")]})
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening_port(process_of(service, runner))}") as http:
        for path in ("/score", "/info"):
            sent = {"content-type": "application/vnd.bentoml+pickle"}
            assert (await http.post(path, content=body, headers=sent)).status_code == 401
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/livez", headers={"host": "rebound.example"})).status_code == 403
    assert not (tmp_path / "run").exists()


async def test_a_page_that_has_made_its_name_stand_for_loopback_is_refused(service: LocalService) -> None:
    name = f"rebound.example:{service.http_port}"
    async with httpx.AsyncClient(base_url=service.url, headers={"host": name, "origin": f"http://{name}"}) as http:
        for path in ("/health", "/stats", "/metrics", "/", "/ui/", "/unknown"):
            answer = await http.get(path)
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "forbidden"
        assert (await http.post("/detect_audio", content=b"x")).status_code == 403
    for path in ("/ws/detect", "/ws/twilio"):
        with pytest.raises(InvalidStatus) as raised:
            await connect(f"ws://{name}{path}", host="127.0.0.1", origin=f"http://{name}")  # type: ignore[arg-type]
        assert raised.value.response.status_code == 403

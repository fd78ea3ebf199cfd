"""A page whose name has been rebound to 127.0.0.1, against a real server."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bonafide.api.hosts import HostGate
from bonafide.security.hosts import AllowedHosts
from bonafide.settings import Settings

REBOUND = "rebound.example"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def answer(_request: Request) -> Response:
        return Response("let in")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    app = Starlette(
        routes=[Route("/{path:path}", answer, methods=["GET", "POST", "OPTIONS"]), WebSocketRoute("/ws/detect", socket)]
    )
    gate = HostGate(app, lambda: AllowedHosts.of_service("127.0.0.1", Settings()))
    server = uvicorn.Server(uvicorn.Config(gate, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


@pytest.mark.parametrize("path", ["/health", "/livez", "/metrics", "/detect_audio", "/ui/"])
async def test_http(port: int, path: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get(path)).text == "let in"
        assert (await http.get(path, headers={"host": f"localhost:{port}"})).text == "let in"
        for method in ("GET", "POST", "OPTIONS"):
            headers = {"host": f"{REBOUND}:{port}", "origin": f"http://{REBOUND}:{port}", "x-request-id": "req-1"}
            answer = await http.request(method, path, headers=headers)
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "forbidden"
            assert answer.headers["x-request-id"] == "req-1"


async def test_a_socket_whose_origin_and_host_are_the_same_foreign_name(port: int) -> None:
    async with connect(f"ws://localhost:{port}/ws/detect", origin=f"http://localhost:{port}"):  # type: ignore[arg-type]
        pass
    with pytest.raises(InvalidStatus) as raised:
        await connect(f"ws://{REBOUND}:{port}/ws/detect", host="127.0.0.1", origin=f"http://{REBOUND}:{port}")  # type: ignore[arg-type]
    assert raised.value.response.status_code == 403
    assert b'"forbidden"' in (raised.value.response.body or b"")

"""Paths that are not a route's as they stand, before routes that are guarded by their path."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from bonafide.api.exact_paths import ExactPaths
from bonafide.api.security import KeyGate
from bonafide.security.access import Access


async def answer(_request: Request) -> Response:
    return Response("let in")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


ROUTES = Starlette(routes=[Route("/", answer), Route("/metrics", answer), WebSocketRoute("/ws/twilio", socket)])
GUARDED = ExactPaths(KeyGate(ROUTES, lambda: Access(None), metrics_moved=True))


@pytest.mark.parametrize("path", ["/metrics", "/metrics%0A", "/%0A", "/other"])
async def test_a_line_break_behind_a_path_makes_it_another(path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(GUARDED), base_url="http://test") as client:
        assert (await client.get("/")).text == "let in"
        assert (await client.get(path)).status_code == 404


def test_of_a_socket_too() -> None:
    client = TestClient(GUARDED)
    with client.websocket_connect("/ws/twilio"):
        pass
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/ws/twilio%0A"):
        pass
    assert refused.value.status_code == 404

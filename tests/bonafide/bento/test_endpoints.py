"""BentoML's metrics of requests: as many series as there are routes, whatever paths are asked for."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from _bentoml_impl.server.mount import PassiveMount
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.server.http import instruments
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from bonafide.bento.endpoints import OTHER, name_endpoints_by_route


@pytest.fixture(autouse=True)
def _corrected() -> Iterator[None]:
    before = instruments.RunnerTrafficMetricsMiddleware
    name_endpoints_by_route()
    yield
    instruments.RunnerTrafficMetricsMiddleware = before  # type: ignore[misc]


@pytest.fixture
def namespace() -> str:
    return f"test_{uuid4().hex}"


def application(namespace: str, folder: Path) -> Starlette:
    """As BentoML makes it: its own routes, ours, and folders of files."""

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.url.path)

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.url.path)
        await websocket.close()

    (folder / "style.css").write_text("/ui/style.css")
    ours = Starlette(
        routes=[
            Route("/detect_audio", answer, methods=["POST"]),
            Route("/jobs/{job_id}/results", answer),
            Mount("/ui", StaticFiles(directory=folder)),
            WebSocketRoute("/ws/detect", talk),
        ]
    )
    app = Starlette(
        routes=[Route("/livez", answer)],
        middleware=[Middleware(instruments.RunnerTrafficMetricsMiddleware, namespace=namespace)],
    )
    app.router.routes.append(PassiveMount("/", ours))
    app.router.routes.append(Mount("/assets", StaticFiles(directory=folder)))
    return app


def endpoints(namespace: str) -> set[str]:
    """Values of the label in all series of a namespace."""
    client = BentoMLContainer.metrics_client.get()
    return {
        sample.labels["endpoint"]
        for metric in client.registry.collect()
        if metric.name.startswith(namespace)
        for sample in metric.samples
        if "endpoint" in sample.labels
    }


async def test_requests_are_counted_by_their_routes(namespace: str, tmp_path: Path) -> None:
    transport = httpx.ASGITransport(application(namespace, tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        for path in ("/livez", "/jobs/0123/results", "/jobs/4567/results", "/ui/style.css", "/assets/style.css"):
            assert (await client.get(path)).text in (path, "/ui/style.css")
        assert (await client.post("/detect_audio")).text == "/detect_audio"
        assert (await client.get("/detect_audio")).status_code == 405
    routes = {"/livez", "/jobs/{job_id}/results", "/ui", "/assets", "/detect_audio"}
    assert endpoints(namespace) == routes


async def test_paths_that_do_not_exist_share_their_series(namespace: str, tmp_path: Path) -> None:
    transport = httpx.ASGITransport(application(namespace, tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        for path in ("/none", "/other", "/jobs", "/jobs/1/2", "/" + "a" * 20_000):
            assert (await client.get(path)).status_code == 404
    assert endpoints(namespace) == {OTHER}


def test_sockets_are_counted_by_their_routes(namespace: str, tmp_path: Path) -> None:
    with TestClient(application(namespace, tmp_path)) as client, client.websocket_connect("/ws/detect") as socket:
        assert socket.receive_text() == "/ws/detect"
    assert endpoints(namespace) == {"/ws/detect"}

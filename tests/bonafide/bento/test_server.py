"""Every uvicorn server gets our settings; that BentoML's is one is in tests/integration/test_bentoml.py."""

import asyncio
import resource
import signal
from collections.abc import Iterator
from unittest.mock import Mock, patch

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from bonafide.bento.connections import ConnectionFactory
from bonafide.bento.server import ServiceServer, allow_open_files, bound_servers
from bonafide.settings import Settings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = uvicorn.Config, uvicorn.Server
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    uvicorn.Config, uvicorn.Server = before  # type: ignore[misc]
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


def test_every_server_of_the_process_gets_our_settings() -> None:
    for _ in range(2):
        bound_servers(Settings(live_max_message_bytes=100_000, live_ping_s=7.0, http_max_header_bytes=2_000))
    config = uvicorn.Config("none:app", workers=1, log_config=None)
    assert isinstance(config.http, ConnectionFactory)
    assert config.http.limits.header_bytes == 2_000
    assert (config.ws_max_size, config.ws_ping_interval, config.ws_ping_timeout) == (100_000, 7.0, 7.0)
    assert config.ws_per_message_deflate is False


def test_what_is_asked_for_explicitly_wins() -> None:
    bound_servers(Settings())
    assert uvicorn.Config("none:app", ws_max_size=5).ws_max_size == 5


async def test_a_server_rests_until_a_signal_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonafide.bento.server._TICK_S", 60.0)
    bound_servers(Settings())
    server = uvicorn.Server(uvicorn.Config("none:app", log_config=None))
    assert isinstance(server, ServiceServer)
    with patch.object(server, "on_tick", wraps=server.on_tick) as tick:
        running = asyncio.create_task(server.main_loop())
        await asyncio.sleep(0.35)
        assert tick.call_count == 1
        assert server.server_state.default_headers[0][0] == b"date"
        # As Python calls a signal's handler; the signal itself would end this process if anything here went wrong.
        server.handle_exit(signal.SIGTERM, None)
        async with asyncio.timeout(10):
            await running
    assert server.should_exit


@pytest.mark.parametrize("forced", [False, True])
async def test_a_forced_end_is_one_for_the_application_too(*, forced: bool) -> None:
    """A client that reads nothing keeps its connection open until the exit is forced."""
    ended = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        for answer in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{answer}"
            await send({"type": f"lifespan.{answer}.complete"})
        ended.append(True)

    server = ServiceServer(uvicorn.Config(app, log_config=None, lifespan="on"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.lifespan.startup()
    server.servers = []
    if forced:
        server.server_state.connections.add(Mock())
        server.handle_exit(signal.SIGTERM, None)
        asyncio.get_running_loop().call_later(0.2, server.handle_exit, signal.SIGINT, None)
    async with asyncio.timeout(10):
        await server.shutdown()
    assert ended == [True]


async def test_the_date_in_responses_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonafide.bento.server._TICK_S", 0.05)
    server = ServiceServer(uvicorn.Config("none:app", log_config=None))
    running = asyncio.create_task(server.main_loop())
    with patch("uvicorn.server.time.time", return_value=0.0):
        async with asyncio.timeout(10):
            while server.server_state.default_headers != [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]:
                await asyncio.sleep(0.01)
    server.should_exit = True  # as when it has had its most requests, which no signal tells
    async with asyncio.timeout(10):
        await running


def test_as_many_files_may_be_open_as_the_system_lets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_open_files(soft - 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 10, hard))
    allow_open_files(soft - 5)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft - 5, hard)
    allow_open_files(10**9)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] in (hard, 10**9)

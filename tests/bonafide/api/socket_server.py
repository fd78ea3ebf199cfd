"""`/ws/detect` behind a real port of this process, with a model whose scores are predictable."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bonafide.api.websocket import WebSocketApi
from bonafide.app import App
from bonafide.bento.server import ServiceConfig, server_options
from bonafide.live.call_verdicts import CallVerdicts
from bonafide.live.registry import LiveSessions
from bonafide.live.webhook import Webhook
from bonafide.settings import Settings
from tests.bonafide.api.answers import read_answer
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import live_sessions
from tests.servers import free_port


class QuietServer(uvicorn.Server):
    """Does not change the signal handlers of this process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class SocketServer:
    """A running server.

    Attributes:
        remote: the model.
        sessions: the open ones.
        calls: the verdicts on phone calls.
        server: uvicorn's.
        port: on 127.0.0.1.
    """

    remote: LocalRemote
    sessions: LiveSessions
    calls: CallVerdicts
    server: uvicorn.Server
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/detect"

    @property
    def phone_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/twilio"

    def connections(self) -> int:
        """TCP connections that uvicorn holds."""
        return len(self.server.server_state.connections)

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def socket_server(
    remote: LocalRemote | None = None,
    *,
    message_bytes: int = 2**20,
    waiting_bytes: int = 2**28,
    ping_s: float = 20.0,
    settings: Settings | None = None,
    webhook: Webhook | None = None,
    **limits: Any,
) -> AsyncIterator[SocketServer]:
    """Serves for the duration of the block; `limits` are settings without their `live_`."""
    limited = Settings(
        live_max_message_bytes=message_bytes,
        live_max_waiting_bytes=waiting_bytes,
        live_max_frames_per_s=100_000,
        live_ping_s=ping_s,
    )
    remote, settings = remote or LocalRemote(), settings or limited
    calls = CallVerdicts.from_settings(settings)
    async with live_sessions(remote, **limits) as sessions:
        app = cast(App, SimpleNamespace(live=sessions, settings=settings, calls=calls, webhook=webhook))
        config = ServiceConfig(
            Starlette(routes=WebSocketApi(lambda: app).routes()),
            host="127.0.0.1",
            port=free_port(),
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
            **server_options(limited),
        )
        server = QuietServer(config)
        serving = asyncio.create_task(server.serve())
        found = SocketServer(remote, sessions, calls, server, config.port)
        await found.until(lambda: server.started)
        try:
            yield found
        finally:
            server.should_exit = server.force_exit = True
            await serving


class Client:
    """A JSON client that requires frames of the documented kinds."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: str | bytes) -> None:
        await self.socket.send(message)

    async def receive(self) -> Any:
        async with asyncio.timeout(60):
            text = await self.socket.recv()
        assert isinstance(text, str)
        return read_answer(text)

    async def ask(self, message: str | bytes) -> Any:
        await self.send(message)
        return await self.receive()

    async def closed(self) -> tuple[int | None, str | None]:
        """Code and reason of the server's close; frames before it are read and dropped."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(60):
                while True:
                    await self.socket.recv()
        return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def client(url: str, **options: Any) -> AsyncIterator[Client]:
    async with connect(url, compression=None, max_size=None, **options) as socket:
        yield Client(socket)

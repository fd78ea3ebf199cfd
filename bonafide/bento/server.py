"""How BentoML's server is set up: it passes none of these settings of uvicorn on, so they are set here.

Without it a message may have 16 MiB, and compressed ones unpack to a thousand times what arrived. For what our
protocol classes bound, see `connections.py`, `http_protocol.py` and `websockets.py`.
"""

import asyncio
import resource
import socket
from contextlib import suppress
from functools import partial
from ssl import SSLContext
from types import FrameType
from typing import Any

import uvicorn

from bonafide.bento.connection_limit import ConnectionLimit
from bonafide.bento.connections import ConnectionFactory
from bonafide.bento.http_protocol import HttpLimits
from bonafide.bento.round_robin import RoundRobin
from bonafide.bento.websockets import ReadAhead, ServiceWebSocket, SocketLimits
from bonafide.settings import Settings

_OTHER_FILES = 512
"""Open files beside HTTP's connections: gRPC, runners, storage, decoding processes, models."""
_SHARES = 16
"""One socket may hold this part of what all hold."""
_TICK_S = 1.0
"""How old the date in a response may be."""


class ServiceConfig(uvicorn.Config):
    """uvicorn's, but the handshake of TLS is left to `NewConnection`.

    Attributes:
        tls: its context, if there is TLS.
    """

    tls: SSLContext | None = None
    ssl: SSLContext | None = None

    def load(self) -> None:
        """See uvicorn."""
        super().load()
        self.tls, self.ssl = self.ssl, None


class ServiceServer(uvicorn.Server):
    """uvicorn's, woken by the signal that ends it, which it looks for ten times a second, also where nobody calls.

    One client that does not read what it is sent keeps its connection open, until the exit is forced.
    """

    _told: asyncio.Event | None = None

    async def main_loop(self) -> None:
        """Returns when the server has to end."""
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn, which does not tell the application of an end that was forced: what waits would be lost."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn."""
        super().handle_exit(sig, frame)
        if self._told is not None:
            self._loop.call_soon_threadsafe(self._told.set)


def server_options(settings: Settings) -> dict[str, Any]:
    """Options of `ServiceConfig` for one server."""
    limits = HttpLimits(
        header_bytes=settings.http_max_header_bytes,
        header_timeout_s=settings.http_header_timeout_s,
        body_rate=settings.http_min_body_rate,
    )
    connections = ConnectionLimit(settings.http_max_connections, settings.http_max_connections_per_address)
    own = settings.live_max_message_bytes
    most = settings.live_max_waiting_bytes
    sockets = SocketLimits(settings.live_max_frames_per_s, own, max(own, most // _SHARES))
    return {
        "http": ConnectionFactory(connections, limits),
        "ws": partial(ServiceWebSocket, sockets, RoundRobin(), ReadAhead(most)),
        "ws_max_size": settings.live_max_message_bytes,
        "ws_ping_interval": settings.live_ping_s,
        "ws_ping_timeout": settings.live_ping_s,
        "ws_per_message_deflate": False,
    }


def bound_servers(settings: Settings) -> None:
    """Applies the settings to every uvicorn server that this process creates later."""
    allow_open_files(settings.http_max_connections + _OTHER_FILES)

    def config(*args: Any, **options: Any) -> ServiceConfig:
        return ServiceConfig(*args, **{**server_options(settings), **options})

    uvicorn.Config = config  # type: ignore[misc, assignment]
    uvicorn.Server = ServiceServer  # type: ignore[misc]


def allow_open_files(number: int) -> None:
    """Raises the limit of this process and its children to `number`, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

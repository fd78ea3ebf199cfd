"""A connection from its acceptance until HTTP begins: it takes a slot, and TLS is agreed on within a time limit.

uvicorn counts no connections, and waits a minute for each TLS handshake, in which it does not know of the connection.
"""

import asyncio
import logging
import ssl
import time
from typing import Any

import uvicorn

from bonafide.bento.connection_limit import ConnectionLimit, ConnectionSlot
from bonafide.bento.http_protocol import HttpLimits, ServiceHttp, refusal
from bonafide.calls import Call
from bonafide.errors import Overloaded

_LOG_EVERY_S = 10.0
_RETRY_AFTER_S = 5.0

logger = logging.getLogger(__name__)


class ConnectionFactory:
    """Makes the protocol of each accepted connection, for `uvicorn.Config(http=...)`.

    Args:
        connections: counts the connections.
        limits: of each of them.
    """

    def __init__(self, connections: ConnectionLimit, limits: HttpLimits) -> None:
        self.connections = connections
        self.limits = limits
        self.handshakes: set[asyncio.Task[None]] = set()
        self._refused = 0
        self._logged_at = -_LOG_EVERY_S

    def __call__(self, config: uvicorn.Config, **uvicorns: Any) -> "NewConnection":
        """As uvicorn calls its own protocol class."""
        return NewConnection(self, getattr(config, "tls", None), {"config": config, **uvicorns})

    def refused(self, address: str) -> None:
        """Counts a connection that got no slot, and logs now and then."""
        self._refused += 1
        if (now := time.monotonic()) - self._logged_at >= _LOG_EVERY_S:
            extra = {"refused": self._refused, "last_address": address, "open": self.connections.open}
            logger.warning("too many connections", extra=extra)
            self._refused, self._logged_at = 0, now


class NewConnection(asyncio.Protocol):
    """One connection.

    Args:
        factory: what all share.
        tls: the context of its handshake; None: there is none.
        uvicorns: what uvicorn's protocol classes are given.
    """

    def __init__(self, factory: ConnectionFactory, tls: ssl.SSLContext | None, uvicorns: dict[str, Any]) -> None:
        self._factory = factory
        self._tls = tls
        self._uvicorns = uvicorns
        self._before = bytearray()

    def connection_made(self, transport: Any) -> None:
        """Takes a slot, and goes on with HTTP, or with the handshake before it."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        slot = self._factory.connections.acquire(address)
        if slot is None:
            self._factory.refused(address)
            if self._tls is None:
                transport.write(refusal(Overloaded("too many connections are open", _RETRY_AFTER_S), Call.within(0.0)))
            transport.close()
            return
        http = ServiceHttp(self._factory.limits, slot, **self._uvicorns)
        if self._tls is None:
            transport.set_protocol(http)
            http.connection_made(transport)
            return
        task = asyncio.get_running_loop().create_task(self._secure(transport, self._tls, http, slot))
        self._factory.handshakes.add(task)
        task.add_done_callback(self._factory.handshakes.discard)

    def data_received(self, data: bytes) -> None:
        """Keeps what arrives before the handshake begins: uvloop reads as soon as the connection is made."""
        self._before += data

    async def _secure(self, transport: Any, tls: ssl.SSLContext, http: ServiceHttp, slot: ConnectionSlot) -> None:
        transport.pause_reading()
        after = _After()
        handshake = asyncio.ensure_future(
            asyncio.get_running_loop().start_tls(
                transport,
                after,
                tls,
                server_side=True,
                ssl_handshake_timeout=self._factory.limits.header_timeout_s,
                ssl_shutdown_timeout=self._factory.limits.stall_s,
            )
        )
        await asyncio.sleep(0)  # its protocol is set
        await asyncio.sleep(0)  # and connected
        _feed(transport.get_protocol(), self._before)
        try:
            secured: Any = await handshake
        except OSError as error:  # among them are those of TLS, and of its time limit
            logger.debug("no TLS: %s", error)
            secured = None
        if secured is None or after.lost:
            transport.abort()
            slot.release()
            return
        secured.set_protocol(http)
        http.connection_made(secured)
        if after.data:
            http.data_received(bytes(after.data))


def _feed(protocol: asyncio.BufferedProtocol, data: bytes | bytearray) -> None:
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


class _After(asyncio.Protocol):
    """Keeps what arrives between the end of the handshake and the next turn of the loop."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

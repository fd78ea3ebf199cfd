"""The port of AudioSocket: which connections are taken, and how each is closed. Opens only if it is configured."""

import asyncio
import ipaddress
import logging
import math
from collections.abc import Callable
from contextlib import suppress

from bonafide.addresses import join_address, parse_ip
from bonafide.api.telephony.audiosocket import ID_BYTES, ID_HEADER, AudioSocketProtocol, error_message
from bonafide.api.telephony.conversation import Gone, PhoneConversation
from bonafide.api.telephony.events import Content
from bonafide.app import App
from bonafide.calls import Call
from bonafide.errors import BonafideError, DeadlineExceeded, Forbidden, InvalidRequest, Overloaded, Unavailable
from bonafide.telemetry import observed

logger = logging.getLogger(__name__)

_MAX_UNIDENTIFIED = 64
"""Connections that have not told their call's id yet."""
_PART_BYTES = 16 * 1024
_CLOSING_S = 2.0


class _TcpWire:
    """See `conversation.Wire`.

    Args:
        first: what was read before.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._first = first

    async def receive(self) -> Content | None:
        """See `conversation.Wire`."""
        if self._first:
            data, self._first = self._first, b""
            return data
        await asyncio.sleep(0)  # reading waits for nothing where much has arrived, and others have their turn
        try:
            return await self._reader.read(_PART_BYTES) or None
        except OSError:
            return None

    async def send(self, content: Content) -> None:
        """See `conversation.Wire`."""
        if self._writer.is_closing():  # uvloop takes a write then for a bug
            raise Gone
        try:
            self._writer.write(content if isinstance(content, bytes) else content.encode())
            await self._writer.drain()
        except OSError as error:
            raise Gone from error


class AudioSocketServer:
    """Serves calls on a TCP port; limits, drain, verdicts and webhook are those of all live sessions.

    Args:
        app: the use cases; None while the service starts.
    """

    def __init__(self, app: Callable[[], App | None]) -> None:
        self._app = app
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._unidentified = 0

    async def start(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listens; returns the port.

        Args:
            host: address.
            port: port; 0: any.
            shared: other processes listen on it too.

        Raises:
            OSError: the port is in use; the message names the settings.
        """
        try:
            self._server = await asyncio.start_server(
                self._accept, host, port, limit=_PART_BYTES, reuse_port=shared or None
            )
        except OSError as error:
            settings = "BONAFIDE_AUDIOSOCKET_HOST, BONAFIDE_AUDIOSOCKET_PORT"
            where = f"{join_address(host, port)} ({settings})"
            raise OSError(f"AudioSocket cannot listen on {where}: it is taken, or not ours") from error
        bound = int(self._server.sockets[0].getsockname()[1])
        logger.info("AudioSocket listens", extra={"host": host, "port": bound})
        return bound

    async def stop(self) -> None:
        """Closes the port and its connections; called after the sessions have been drained."""
        if self._server is not None:
            self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = Call.within(math.inf)
        try:
            async with observed("audiosocket", "audiosocket", call):
                await self._converse(reader, writer, call)
        except BonafideError as error:
            logger.debug("a call of AudioSocket was refused", extra={"code": error.code.value})
        finally:
            await _close(reader, writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: Call) -> None:
        conversation: PhoneConversation | None = None
        try:
            app = self._app()
            if app is None:
                raise Unavailable("the service is starting")
            _require_network(writer, app)
            first = await self._id_message(reader, app.settings.http_header_timeout_s)
            with app.live.open(call) as stream:
                conversation = PhoneConversation(_TcpWire(reader, writer, first), AudioSocketProtocol(), stream, app)
                await conversation.run()
        except BonafideError as error:
            if conversation is None and not writer.is_closing():  # else it has told the peer, or that has gone
                with suppress(OSError):
                    writer.write(error_message(error))
            raise

    async def _id_message(self, reader: asyncio.StreamReader, within_s: float) -> bytes:
        """The first message, before a session is opened for it."""
        if self._unidentified >= _MAX_UNIDENTIFIED:
            raise Overloaded("too many connections have not told their call's id")
        self._unidentified += 1
        try:
            async with asyncio.timeout(within_s):
                header = await reader.readexactly(len(ID_HEADER))
                if header != ID_HEADER:
                    raise InvalidRequest("the first message must be the call's id, 16 bytes")
                return header + await reader.readexactly(ID_BYTES)
        except asyncio.IncompleteReadError as error:
            raise InvalidRequest("the connection ended before the call's id") from error
        except TimeoutError as error:
            raise DeadlineExceeded("the call's id has not come in time") from error
        except OSError as error:
            raise InvalidRequest("the connection broke before the call's id") from error
        finally:
            self._unidentified -= 1


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes a connection; what still arrives is read for a while, or the peer would lose the last message."""
    try:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                if writer.is_closing():
                    return
                writer.write_eof()
                while await reader.read(_PART_BYTES):
                    pass
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _require_network(writer: asyncio.StreamWriter, app: App) -> None:
    """Raises Forbidden for a peer outside the configured networks, InvalidRequest for one that has gone."""
    networks = app.settings.audiosocket_networks
    if not networks:
        return
    address = writer.get_extra_info("peername")
    if address is None:  # uvloop asks the system, which knows none of a connection that has been reset
        raise InvalidRequest("the connection broke before the call's id")
    peer = parse_ip(str(address[0]).partition("%")[0])
    if not any(peer in ipaddress.ip_network(network) for network in networks):
        raise Forbidden("this address may not call; BONAFIDE_AUDIOSOCKET_NETWORKS names those that may")

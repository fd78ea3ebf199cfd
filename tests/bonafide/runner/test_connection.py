"""A server is told to have ended by what it does with its connections, also while its port is kept open."""

import asyncio
import socket
from pathlib import Path

import pytest
import uvicorn

from bonafide.runner import connection as module
from bonafide.runner.connection import connection_closed
from tests.servers import free_port

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\n"


class Peer:
    """Answers each request until it ends; its port stays open, as a supervisor keeps it."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.url = f"tcp://127.0.0.1:{self.listening.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.connected: list[socket.socket] = []
        self.accepting = asyncio.create_task(self._accept())

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self.listening)
            self.connected.append(connection)
            while request := await loop.sock_recv(connection, 4096):
                self.requests.append(request)
                await loop.sock_sendall(connection, ANSWER)

    async def end(self) -> None:
        """Closes what it has accepted, as the kernel does for a process that is killed, and accepts nothing more."""
        self.accepting.cancel()
        await asyncio.gather(self.accepting, return_exceptions=True)
        for each in self.connected:
            each.close()


class Unread:
    """A stream to a peer that takes nothing."""

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


async def test_the_end_is_told_at_once_and_a_process_that_goes_on_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PERIOD_S", 0.05)
    peer = Peer()
    with peer.listening:
        closed = asyncio.create_task(connection_closed(peer.url))
        await asyncio.sleep(0.5)
        assert not closed.done()
        assert len(peer.requests) > 3
        assert peer.requests[0].startswith(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:")
        await peer.end()
        async with asyncio.timeout(1):
            await closed
        again = asyncio.create_task(connection_closed(peer.url))
        await asyncio.sleep(0.3)
        assert not again.done(), "the port still takes connections"
        again.cancel()


async def test_one_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD_S", 0.01)
    received = bytearray()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            received.extend(data)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        watching = asyncio.create_task(connection_closed(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        await asyncio.sleep(0.2)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert received.count(b"GET /livez") == 1


async def test_a_host_that_vanished_is_an_error_and_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = asyncio.StreamReader()
    reader.set_exception(TimeoutError(110, "Connection timed out"))  # the kernel's, when nothing is acknowledged

    async def connect(*_: object) -> tuple[asyncio.StreamReader, Unread]:
        return reader, Unread()

    monkeypatch.setattr(asyncio, "open_connection", connect)
    with pytest.raises(TimeoutError, match="Connection timed out"):
        await connection_closed("http://10.0.0.1:3000")


async def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"."):
        await connection_closed(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(OSError, match=r"."):
        await connection_closed(f"file://{tmp_path}/none")


async def test_uvicorn_does_not_close_it_for_being_idle() -> None:
    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body"})  # type: ignore[operator]

    port = free_port()
    config = uvicorn.Config(app, port=port, lifespan="off", log_config=None, timeout_keep_alive=3)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    closed = asyncio.create_task(connection_closed(f"http://127.0.0.1:{port}"))
    await asyncio.sleep(4)
    assert not closed.done()
    server.should_exit = True
    async with asyncio.timeout(2):
        await closed
    await serving

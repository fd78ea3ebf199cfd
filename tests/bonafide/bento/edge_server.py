"""A uvicorn server set up as the service's, in a process of its own on uvloop, with a small application behind it.

`python -m tests.bonafide.bento.edge_server JSON` prints its port. JSON has `settings`, limits of `HttpLimits` as
`http`, `tls`, the paths of certificate and key, `grace_s`, as in `bonafide/bento/websockets.py`, and `send_buffer`, the
bytes that the kernel takes from the server for a client that does not read.
"""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bonafide.bento import websockets
from bonafide.bento.server import ServiceConfig, server_options
from bonafide.settings import Settings
from scripts.local_service import ROOT

UPGRADE = (
    b"GET /%b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass
class EdgeServer:
    """A running server.

    Attributes:
        port: on loopback.
        process: its own.
        opened: connections that the test has made, closed at its end.
    """

    port: int
    process: subprocess.Popen[str]
    opened: list[socket.socket] = field(default_factory=list)

    @property
    def rss(self) -> int:
        """Bytes of its memory."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def connect(self, data: bytes = b"", *, timeout_s: float = 20.0, receive_buffer: int = 0) -> socket.socket:
        """A connection that has sent `data`."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout_s)
        sock.connect(("127.0.0.1", self.port))
        self.opened.append(sock)
        sock.sendall(data)
        return sock

    def upgrade(self, path: bytes, **options: Any) -> socket.socket:
        """A connection after the handshake of a WebSocket."""
        sock = self.connect(UPGRADE % path, **options)
        assert b" 101 " in sock.recv(4096)
        return sock

    def alive_in(self) -> float:
        """Seconds until `/livez` has answered."""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as sock:
            sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b" 200 " in sock.recv(4096)
        return time.monotonic() - began

    def slowest_answer(self, during_s: float) -> float:
        """The longest time in which `/livez` has answered, of those asked within `during_s`."""
        end = time.monotonic() + during_s
        slowest = 0.0
        while time.monotonic() < end:
            slowest = max(slowest, self.alive_in())
            time.sleep(0.01)
        return slowest


@contextlib.contextmanager
def edge_server(**options: Any) -> Iterator[EdgeServer]:
    """Serves for the duration of the block; for `options` see above."""
    command = [sys.executable, "-m", "tests.bonafide.bento.edge_server", json.dumps(options)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    server = EdgeServer(int(process.stdout.readline()), process)
    until(lambda: _listens(server.port))
    try:
        yield server
    finally:
        for sock in server.opened:
            sock.close()
        process.kill()
        process.wait()
        process.stdout.close()


def _listens(port: int) -> bool:
    """Whether connections are accepted."""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    """Waits for it."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.02)


def read_until(sock: socket.socket, ending: bytes) -> bytes:
    """What the server sends up to `ending`."""
    data = b""
    while not data.endswith(ending):
        part = sock.recv(65_536)
        assert part, data[-200:]
        data += part
    return data


def closed_in(sock: socket.socket) -> tuple[float, bytes]:
    """Seconds until the server has closed a connection, and what it sent before."""
    began, data = time.monotonic(), b""
    with contextlib.suppress(ConnectionError):
        while part := sock.recv(65_536):
            data += part
    return time.monotonic() - began, data


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame as a client sends it, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([opcode | (0x80 if fin else 0)]) + length + bytes(4) + payload


async def _livez(_: Request) -> PlainTextResponse:
    return PlainTextResponse("alive")


async def _upload(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def _named(request: Request) -> PlainTextResponse:
    return PlainTextResponse("named" if "x-name" in request.headers else "nameless")


async def _refused(_: Request) -> PlainTextResponse:
    return PlainTextResponse("no", status_code=401)


async def _too_large(_: Request) -> PlainTextResponse:
    return PlainTextResponse("no", status_code=413)


async def _long(_: Request) -> PlainTextResponse:
    return PlainTextResponse("x" * 50_000_000)


async def _count(websocket: WebSocket) -> None:
    """Answers each message with its length."""
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(str(len(await websocket.receive_text())))


async def _busy(websocket: WebSocket) -> None:
    """Takes no message for a second, and then all at once."""
    await websocket.accept()
    await asyncio.sleep(1)
    with contextlib.suppress(WebSocketDisconnect):
        while await websocket.receive_text() != "end":
            pass
        await websocket.close(1000)


async def _stuck(websocket: WebSocket) -> None:
    """Takes no message."""
    await websocket.accept()
    await asyncio.sleep(3600)


def main() -> None:
    """Serves until it is killed."""
    asked = json.loads(sys.argv[1])
    websockets.GRACE_S = asked.get("grace_s", websockets.GRACE_S)
    options = server_options(Settings(**asked.get("settings", {})))
    options["http"].limits = replace(options["http"].limits, **asked.get("http", {}))
    if "tls" in asked:
        options |= {"ssl_certfile": asked["tls"][0], "ssl_keyfile": asked["tls"][1]}
    routes = [
        Route("/livez", _livez),
        Route("/upload", _upload, methods=["POST"]),
        Route("/named", _named, methods=["POST"]),
        Route("/refused", _refused, methods=["POST"]),
        Route("/too_large", _too_large, methods=["POST"]),
        Route("/long", _long),
        WebSocketRoute("/count", _count),
        WebSocketRoute("/busy", _busy),
        WebSocketRoute("/stuck", _stuck),
    ]
    config = ServiceConfig(Starlette(routes=routes), loop="uvloop", log_config=None, lifespan="off", **options)
    listening = socket.create_server(("127.0.0.1", 0))
    if "send_buffer" in asked:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, asked["send_buffer"])
    print(listening.getsockname()[1], flush=True)  # noqa: T201
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()

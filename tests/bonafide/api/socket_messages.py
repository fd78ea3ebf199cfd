"""What clients of `/ws/detect` send, and a connection below their frames."""

import asyncio
import base64
import json
import socket
from typing import Any

from tests.bonafide.api.socket_server import SocketServer
from tests.bonafide.bento.edge_server import UPGRADE
from tests.bonafide.live.conversation import level


def frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "timestamp": 1.0, **fields})


def chunk(share: float, seconds: float = 1.0, form: str = "base64", rate: int = 16_000) -> str:
    samples = level(share, seconds, rate)
    data: dict[str, Any] = {
        "base64": base64.b64encode(samples.astype("<f4").tobytes()).decode(),
        "json": samples.tolist(),
        "string": json.dumps(samples.tolist()),
    }
    return frame("audio_chunk", client_id="c", audio_data=data[form], sample_rate=rate, encoding=form)


async def raw_client(server: SocketServer, receive_buffer: int | None = None) -> socket.socket:
    """A connection after its handshake, on which only the test sends."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", server.port))
    await loop.sock_sendall(sock, UPGRADE % b"ws/detect")
    assert b"101" in await loop.sock_recv(sock, 4_096)
    return sock

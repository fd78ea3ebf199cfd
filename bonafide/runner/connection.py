"""A connection to a server that tells at once that its process has ended.

Requests cannot tell it: a supervisor keeps the port of a process that died, so the kernel still accepts connections,
which nobody answers until the next process runs.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

_CONNECT_TIMEOUT_S = 5.0
_PERIOD_S = 2.5
"""Time between requests: a server closes a connection without any, uvicorn after 5 s; each costs it milliseconds."""
_READ_BYTES = 4096


async def connection_closed(url: str) -> None:
    """Connects, asks for `/livez` every few seconds, and returns when the server closes the connection.

    Args:
        url: `http://host:port` or `tcp://host:port`; `file:///path`: a unix socket. Never returns for `https`.

    Raises:
        OSError: it cannot be connected to; TimeoutError among them.
    """
    parts = urlsplit(url)
    if parts.scheme == "https":
        await asyncio.Event().wait()
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        if parts.hostname is None:
            reader, writer = await asyncio.open_unix_connection(parts.path)
        else:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    request = f"GET /livez HTTP/1.1\r\nHost: {parts.netloc or 'localhost'}\r\n\r\n".encode()
    answered = True
    try:
        with contextlib.suppress(ConnectionError):  # a reset is an end too
            while True:
                if answered:
                    writer.write(request)
                    answered = False
                period = asyncio.timeout(_PERIOD_S)
                try:
                    async with period:
                        while await reader.read(_READ_BYTES):
                            answered = True
                        return
                except TimeoutError:
                    if not period.expired():  # the kernel's: the host has vanished, and each read would raise it
                        raise
    finally:
        writer.close()

"""A TCP proxy with configurable faults, in front of a real server; and a server with given responses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

PIECE_BYTES = 16 * 1024


@dataclass
class Proxy:
    """What to do to connections; may be changed at any time.

    Attributes:
        port: Where it listens on the loopback.
        server_port: Where new connections lead to, likewise.
        cut_after: For each of the next connections, bytes of the answer after which it is cut; then none is.
        delay_s: Pause before each piece of an answer.
        connections: Connections so far.
        open: Connections now.
        sent: Bytes of answers so far.
    """

    port: int = 0
    server_port: int = 0
    cut_after: list[int] = field(default_factory=list)
    delay_s: float = 0.0
    connections: int = 0
    open: int = 0
    sent: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """A proxy to the server on that port of the loopback, for the length of the block."""
    proxy = Proxy(server_port=port)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy.connections += 1
        left = proxy.cut_after.pop(0) if proxy.cut_after else None
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", proxy.server_port)
        upward = asyncio.create_task(_pump(reader, up_writer))
        try:
            while left is None or left > 0:
                piece = await up_reader.read(PIECE_BYTES if left is None else min(left, PIECE_BYTES))
                if not piece:
                    break
                await asyncio.sleep(proxy.delay_s)
                writer.write(piece)
                await writer.drain()
                proxy.sent += len(piece)
                left = None if left is None else left - len(piece)
        finally:
            upward.cancel()
            up_writer.transport.abort()

    async with _listening(handle, proxy):
        yield proxy


@asynccontextmanager
async def answering(answers: Sequence[bytes], endless: bytes = b"") -> AsyncIterator[Proxy]:
    """A server that gives the next of `answers` to each HTTP request without a body, the last one for ever.

    With `endless`, that follows the last answer again and again until the client disconnects.
    """
    proxy = Proxy()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        answer = answers[min(proxy.connections, len(answers) - 1)]
        proxy.connections += 1
        while answer:
            writer.write(answer)
            await writer.drain()
            proxy.sent += len(answer)
            answer = endless if proxy.connections >= len(answers) else b""

    async with _listening(handle, proxy):
        yield proxy


@asynccontextmanager
async def _listening(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], proxy: Proxy
) -> AsyncIterator[None]:
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.append(writer)
        proxy.open += 1
        try:
            # The other side going away is what these tests are about.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handle(reader, writer)
        finally:
            proxy.open -= 1
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks))
        for writer in writers:  # whose clients read no more
            writer.transport.abort()
        await server.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forwards data and its end: closes the other side when this one closes."""
    with suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()

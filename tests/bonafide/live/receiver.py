"""A web server that records requests and responds as configured."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Receiver:
    """What arrived.

    Attributes:
        answers: status codes of its responses, or what is sent as it is, one by one; then 200.
        pause_s: before each answer, and before each byte of what is sent as it is.
    """

    url: str = ""
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: list[int | bytes] = field(default_factory=list)
    pause_s: float = 0.0
    _talks: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = field(default_factory=dict)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.bodies) < count:
                await asyncio.sleep(0.01)

    async def hang_up(self) -> None:
        for task, writer in self._talks.items():
            writer.transport.abort()
            if task is not None:
                await asyncio.wait([task])

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks[asyncio.current_task()] = writer
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length"))
                self.bodies.append(await reader.readexactly(length))
                self.heads.append(head)
                await self._answer(self.answers.pop(0) if self.answers else 200, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, answer: int | bytes, writer: asyncio.StreamWriter) -> None:
        if isinstance(answer, int):
            await asyncio.sleep(self.pause_s)
            location = "location: http://127.0.0.1:1/\r\n" if answer == 302 else ""
            writer.write(f"HTTP/1.1 {answer} X\r\n{location}content-length: 0\r\n\r\n".encode())
        elif self.pause_s:
            for byte in answer:
                await asyncio.sleep(self.pause_s)
                writer.write(bytes((byte,)))
                await writer.drain()
        else:
            writer.write(answer)


@asynccontextmanager
async def receiver(port: int = 0) -> AsyncIterator[Receiver]:
    """Args: port: of 127.0.0.1; 0: any that is free."""
    found = Receiver()
    async with await asyncio.start_server(found.take, "127.0.0.1", port) as server:
        found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/verdicts"
        yield found
        await found.hang_up()

"""Waiting for the reported state of the running service."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx

from scripts.local_service import LocalService


async def until(condition: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Returns when the condition holds; raises TimeoutError when it does not in time."""
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.05)  # what is asked takes a processor, too


async def active_calls(service: LocalService, runner: str = "voice") -> int:
    """Calls that hold a slot at a runner, as reported by `/stats`."""
    async with httpx.AsyncClient(timeout=10) as http:
        return int((await http.get(f"{service.url}/stats")).json()[runner]["active_calls"])


async def wait_active(service: LocalService, wanted: int, within_s: float = 20.0) -> None:
    """Returns when so many voice calls are in progress, and none of faces is when none is wanted."""

    async def reached() -> bool:
        faces = await active_calls(service, "face") if wanted == 0 else 0
        return await active_calls(service) == wanted and faces == 0

    await until(reached, within_s)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

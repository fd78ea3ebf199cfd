import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from benchmarks import beside
from benchmarks.beside import Calls
from benchmarks.http_load import Refused, client
from benchmarks.inputs import recording


class Service:
    """Answers recordings; those of "archive" after a minute."""

    def __init__(self) -> None:
        self.in_progress = 0
        self.bodies: list[bytes] = []
        self.keys: list[str] = []

    async def judge(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.keys.append(request.headers.get("authorization", ""))
        if self.keys[-1] == "Bearer archive":
            self.in_progress += 1
            try:
                await asyncio.sleep(60)
            finally:
                self.in_progress -= 1
        return web.Response(status=403 if self.keys[-1] == "Bearer wrong" else 200)


@asynccontextmanager
async def calls(service: Service) -> AsyncIterator[Calls]:
    application = web.Application(client_max_size=2**26)
    application.router.add_post("/detect_audio", service.judge)
    runner = web.AppRunner(application, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with client() as http:
            yield Calls(f"http://127.0.0.1:{runner.addresses[0][1]}", http)
    finally:
        await runner.cleanup()


async def test_a_short_call_beside_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_RUN_IN_S", 0.2)
    monkeypatch.setattr(beside, "_RECORDING_S", 1)
    service = Service()
    async with calls(service) as sent:
        async with sent.beside(3, "archive"):
            assert 0.0 < await sent.judged(4, "branch") < 60.0
            assert service.in_progress == 3
        async with asyncio.timeout(30):
            while service.in_progress:
                await asyncio.sleep(0.01)
    assert service.keys == [*["Bearer archive"] * 3, "Bearer branch"]
    assert service.bodies[3] == recording(3, 4)
    assert len(set(service.bodies)) == 4


async def test_a_call_that_was_refused_is_no_call() -> None:
    async with calls(Service()) as sent:
        with pytest.raises(Refused, match="answered 403"):
            await sent.judged(1, "wrong")
        await sent.judged(1, "")

"""The time limit of a request ends with it, and releases its memory."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext, suppress

import httpx
import pytest
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bonafide.bento.timeouts import cancel_request_timers, runner_limit_s
from bonafide.settings import Settings


@pytest.fixture(autouse=True)
def _corrected() -> Iterator[None]:
    before = TimeoutMiddleware.__call__
    cancel_request_timers()
    yield
    TimeoutMiddleware.__call__ = before  # type: ignore[method-assign]


def limited(timeout_s: float, answer: Callable[[Request], Awaitable[ASGIApp]]) -> httpx.AsyncClient:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (await answer(Request(scope, receive)))(scope, receive, send)

    transport = httpx.ASGITransport(TimeoutMiddleware(app, timeout_s))
    return httpx.AsyncClient(transport=transport, base_url="http://here")


def timers() -> int:
    gc.collect()
    return sum(type(each) is asyncio.TimerHandle and not each.cancelled() for each in gc.get_objects())


async def test_answered_requests_leave_no_timer() -> None:
    async def answer(_: Request) -> ASGIApp:
        return PlainTextResponse("done")

    before = timers()
    async with limited(600, answer) as client:
        for _ in range(50):
            assert (await client.get("/")).text == "done"
    assert timers() - before < 5


async def test_a_request_without_an_answer_is_504() -> None:
    async def answer(_: Request) -> ASGIApp:
        await asyncio.sleep(60)
        raise AssertionError("not cancelled")

    async with limited(0.05, answer) as client:
        response = await client.get("/")
    assert (response.status_code, response.json()) == (504, {"error": "not answered within 0.05 seconds"})


async def test_a_model_may_take_longer_to_load_than_a_call() -> None:
    async def answer(_: Request) -> ASGIApp:
        await asyncio.sleep(0.1)
        return PlainTextResponse("loaded")

    async with limited(0.05, answer) as client:
        assert (await client.post("/prepare")).text == "loaded"


@pytest.mark.parametrize("then", ["ends", "raises", "catches", "fails"])
async def test_an_answer_after_the_limit_is_not_sent(then: str) -> None:
    """An application that catches the cancellation and answers, and what it does then."""

    async def answer(request: Request) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if then == "fails":
                    raise ValueError("of the application") from None
                with suppress(TimeoutError) if then == "catches" else nullcontext():
                    await PlainTextResponse("late")(scope, receive, send)
                if then == "raises":
                    raise

        return app

    async with limited(0.05, answer) as client:
        response = await client.get("/")
    assert (response.status_code, response.json()) == (504, {"error": "not answered within 0.05 seconds"})


async def test_a_response_that_has_begun_may_take_longer() -> None:
    async def parts() -> AsyncIterator[str]:
        yield "one "
        await asyncio.sleep(0.2)
        yield "two"

    async def answer(_: Request) -> ASGIApp:
        return StreamingResponse(parts())

    async with limited(0.1, answer) as client:
        assert (await client.get("/")).text == "one two"


async def test_an_error_of_the_application_is_not_hidden() -> None:
    async def answer(_: Request) -> ASGIApp:
        raise TimeoutError("of the application")

    async with limited(60, answer) as client:
        with pytest.raises(TimeoutError, match="of the application"):
            await client.get("/")


@pytest.mark.parametrize("name", ["call_timeout_s", "face_timeout_s", "live_timeout_s"])
def test_a_runner_has_longer_than_every_call(name: str) -> None:
    """The limit of recordings was every runner's: with one of 20 ms each photo was told that its model has gone."""
    for limit_s in (0.02, 5000.0):
        settings = Settings.model_validate({name: limit_s})
        limits = (settings.call_timeout_s, settings.face_timeout_s, settings.live_timeout_s)
        assert runner_limit_s(settings) >= max(limits)
        assert runner_limit_s(settings) >= 600, "a caller's own deadline may be longer than the settings' limit"

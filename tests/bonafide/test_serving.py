"""The transports around one application, in this process."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from bonafide import serving as module
from bonafide.api.http import HttpApi
from bonafide.app import App
from bonafide.decoders.processes import Template
from bonafide.serving import Server
from bonafide.settings import Settings
from tests.bonafide.fakes import LocalRemote


def server(**more: object) -> Server:
    return Server(
        Settings.model_validate({"grpc_ports": "0", "metrics_port": None, "drain_s": 0, "drain_notice_s": 0, **more}),
        voice=LocalRemote(),
        face=LocalRemote(),
        voice_shadow=None,
        face_shadow=None,
        voice_jobs=None,
        face_jobs=None,
        tracer_provider=TracerProvider(),
        metrics=lambda: (b"", ""),
    )


async def test_the_stop_closes_everything_whatever_the_watch_ended_with(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[App] = []

    async def ended(app: App, changed: Callable[[], Awaitable[None]]) -> None:
        raise ExceptionGroup("errors in a group", [AttributeError("a bug of ours")])

    async def close(app: App) -> None:
        closed.append(app)
        await really_close(app)

    really_close = App.close
    monkeypatch.setattr(App, "watch_runners", ended)
    monkeypatch.setattr(App, "close", close)
    monkeypatch.setattr(module, "drain_on_signal", lambda begin, limit_s: None)
    running = server()
    await running.start()
    await running.stop()
    assert len(closed) == 1
    assert "the watch of the runners had ended" in caplog.messages


@pytest.mark.parametrize("ending", ["takes too long", "fails"])
async def test_the_stop_closes_everything_however_the_drain_has_ended(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    """`drain_on_signal` cancels one that takes too long; what waits to be kept is kept all the same."""
    closed: list[App] = []
    really_close = App.close

    async def close(app: App) -> None:
        closed.append(app)
        await really_close(app)

    async def drain(_: HttpApi, grace_s: float) -> None:
        if ending == "fails":
            raise AttributeError("a bug of ours")
        await asyncio.Event().wait()

    monkeypatch.setattr(App, "close", close)
    monkeypatch.setattr(HttpApi, "drain", drain)
    monkeypatch.setattr(module, "drain_on_signal", lambda begin, limit_s: None)
    running = server()
    await running.start()
    with suppress(TimeoutError, AttributeError):
        async with asyncio.timeout(0.2):
            await running._begin_drain()
    await running.stop()
    assert len(closed) == 1
    assert ("the drain failed" in caplog.messages) == (ending == "fails")


async def test_a_service_that_nobody_calls_looks_for_old_verdicts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "drain_on_signal", lambda begin, limit_s: None)
    running = server(feedback_db=str(tmp_path / "feedback.db"))
    await running.start()
    async with asyncio.timeout(30):
        while not (tmp_path / "feedback.db").exists():
            await asyncio.sleep(0.01)
    await running.stop()


async def test_a_service_that_cannot_decode_refuses_to_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Template, "of_process", Template)
    monkeypatch.setattr(module, "drain_on_signal", lambda begin, limit_s: None)
    running = server()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SystemExit):
        await running.start()
    assert caplog.messages == ["cannot start: no decoding process could be started"]


async def test_a_store_of_jobs_that_does_not_answer_takes_no_time_of_the_calls_drain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, answered = asyncio.Event(), asyncio.Event()

    class Jobs:
        async def drain(self, _grace_s: float) -> None:
            await answered.wait()

        async def stop(self) -> None:
            """Nothing runs."""

    async def drain(_api: HttpApi, _grace_s: float) -> None:
        began.set()

    monkeypatch.setattr(HttpApi, "drain", drain)
    monkeypatch.setattr(module, "drain_on_signal", lambda begin, limit_s: None)
    running = server()
    await running.start()
    monkeypatch.setattr(running, "_jobs", Jobs())
    stopping = asyncio.create_task(running.stop())
    try:
        async with asyncio.timeout(10):
            await began.wait()
        assert not stopping.done()
    finally:
        answered.set()
        await stopping

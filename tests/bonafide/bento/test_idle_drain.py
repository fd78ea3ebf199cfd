"""When a runner ends; tests/integration/test_drain.py has the running ones."""

import asyncio
import signal
import time
from collections.abc import Callable

import pytest

from bonafide.bento import shutdown
from bonafide.bento.shutdown import IdleDrain

QUIET_S = 0.5


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "QUIET_S", QUIET_S)
    monkeypatch.setattr(shutdown, "_TICK_S", 0.02)


async def ended_after(drain: IdleDrain, asked: Callable[[], object]) -> float:
    """Seconds from SIGTERM until the handler of before is called; `asked` is called in between."""
    ended = asyncio.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        drain.install()
        began = time.monotonic()
        signal.raise_signal(signal.SIGTERM)
        asked()
        await asyncio.wait_for(ended.wait(), 10)
        return time.monotonic() - began
    finally:
        for each in shutdown.SIGNALS:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)


async def test_one_that_was_never_asked_ends_at_once() -> None:
    assert await ended_after(IdleDrain(20.0), lambda: None) < QUIET_S


async def test_one_that_was_asked_waits_until_nobody_asks_any_more() -> None:
    drain = IdleDrain(20.0)
    drain.touch()
    loop = asyncio.get_running_loop()
    assert await ended_after(drain, lambda: loop.call_later(0.3, drain.touch)) >= 0.3 + QUIET_S - 0.1

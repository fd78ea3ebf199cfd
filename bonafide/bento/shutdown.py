"""The order of shutdown: BentoML sends SIGTERM to runners and service at once, so each process delays its own exit.

The service finishes its calls before uvicorn gets the signal. A runner goes on while requests still arrive (a service
sends one every second until it has ended itself), at most for the drain time and a little more.
"""

import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Awaitable, Callable
from types import FrameType

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
QUIET_S = 2.5
"""A runner without a request for so long has no running service: each sends one every second."""
_TICK_S = 0.25
_FORCE_S = 3.0
"""Time for uvicorn to exit after the drain."""
LATER_S = 5.0
"""How much longer than its service a runner may take to end."""

_Handler = Callable[[int, FrameType | None], object] | int | None


def _pass_on(signum: int, previous: _Handler) -> None:
    """Calls the handler that was installed before ours."""
    if callable(previous):
        previous(signum, None)
    else:
        signal.signal(signum, previous if previous is not None else signal.SIG_DFL)
        os.kill(os.getpid(), signum)


def drain_on_signal(begin: Callable[[], Awaitable[None]], limit_s: float) -> None:
    """In the service: on SIGTERM or SIGINT awaits `begin`, `limit_s` at most, then passes the signal on.

    uvicorn closes WebSockets as soon as it has the signal, and waits for open connections without end, so soon
    afterwards the exit is forced. Signals that come while `begin` runs are one with the first: Ctrl-C in a terminal is
    followed by the supervisor's SIGTERM. Must run on the event loop's thread.
    """
    loop = asyncio.get_running_loop()
    draining: asyncio.Task[None] | None = None

    async def drain(received: int, previous: _Handler) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await begin()
        except TimeoutError:
            logger.warning("the drain took too long", extra={"limit_s": limit_s})
        finally:
            _pass_on(received, previous)
            loop.call_later(_FORCE_S, _pass_on, signal.SIGINT, previous)  # uvicorn's second SIGINT does not wait

    def begin_once(received: int, previous: _Handler) -> None:
        nonlocal draining
        if draining is None:
            draining = loop.create_task(drain(received, previous))
        elif draining.done():
            _pass_on(received, previous)

    for signum in SIGNALS:
        previous: _Handler = signal.getsignal(signum)

        def handle(received: int, _frame: FrameType | None, previous: _Handler = previous) -> None:
            loop.call_soon_threadsafe(begin_once, received, previous)

        signal.signal(signum, handle)


class IdleDrain:
    """In a runner: delays SIGTERM until no request arrives any more; one that was never asked ends at once.

    `touch()` must be called for every request, `install()` once on the event loop's thread.
    """

    def __init__(self, drain_s: float) -> None:
        self._drain_s = drain_s
        self._last_asked = -math.inf
        self._draining: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """Records that a request has arrived or ended."""
        self._last_asked = time.monotonic()

    def install(self) -> None:
        """Takes over SIGTERM and SIGINT from uvicorn."""
        loop = asyncio.get_running_loop()
        for signum in SIGNALS:
            previous: _Handler = signal.getsignal(signum)

            def handle(received: int, _frame: FrameType | None, previous: _Handler = previous) -> None:
                loop.call_soon_threadsafe(self._begin, received, previous)

            signal.signal(signum, handle)

    def _begin(self, signum: int, previous: _Handler) -> None:
        if self._draining is None:
            logger.info("runner drains until no request arrives", extra={"drain_s": self._drain_s})
            self._draining = asyncio.get_running_loop().create_task(self._drain(signum, previous))

    async def _drain(self, signum: int, previous: _Handler) -> None:
        end = time.monotonic() + self._drain_s + LATER_S
        while time.monotonic() < min(end, self._last_asked + QUIET_S):  # noqa: ASYNC110 - every request moves it
            await asyncio.sleep(_TICK_S)
        _pass_on(signum, previous)

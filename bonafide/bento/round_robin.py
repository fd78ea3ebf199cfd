"""Shares the event loop among connections: work that arrived in one piece is done in many short turns."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_S = 0.01
"""Time of all turns between two looks at the sockets, so that a burst delays other calls by no more."""

Work = Callable[[], bool]
"""A short piece of work; returns whether more of it is left."""


class RoundRobin:
    """Does the work of many connections, one piece of each after the other."""

    def __init__(self) -> None:
        self._waiting: deque[Work] = deque()
        self._scheduled = False

    def submit(self, work: Work) -> None:
        """Calls `work` soon, and again until nothing of it is left."""
        self._waiting.append(work)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end = time.monotonic() + SLICE_S
        self._scheduled = False
        try:
            while self._waiting and time.monotonic() < end:
                work = self._waiting.popleft()
                if work():
                    self._waiting.append(work)
        finally:
            self._schedule()

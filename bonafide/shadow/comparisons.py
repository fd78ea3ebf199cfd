"""What a shadow still has to score: bounded in bytes, done after the answers, a few at a time.

A call never waits here: what finds no room is dropped and counted, and a failure is counted and logged.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol

from bonafide.errors import BonafideError
from models.info import Task

logger = logging.getLogger(__name__)

_PAUSE_S = 0.2
"""After a verdict is known; by then the transport has sent it."""
_AT_A_TIME = 4
"""Comparisons whose items may share the shadow's batches."""


class Outcome(StrEnum):
    """What the shadow of an answer came to."""

    AGREED = "agreed"
    """It has the same label."""
    CHANGED = "changed"
    """It has another label."""
    FAILED = "failed"
    """The shadow gave no score, or could not be reached."""
    DROPPED = "dropped"
    """There was no room for its windows or photo, or the service ended before its turn."""
    CACHED = "cached"
    """The served scores came from the cache, so that there were no windows."""


class ShadowObserver(Protocol):
    """Receives measurements of shadows."""

    def shadow(self, task: str, outcome: str, count: int = 1) -> None:
        """The shadows of so many answers came to this `Outcome`."""

    def shadow_score(self, task: str, served: float, shadow: float) -> None:
        """Scores of one window or photo, 0..1: the one that was answered, and the shadow's."""


Comparison = Callable[[], Awaitable[Outcome]]
"""Scores and reports; raises BonafideError where the shadow gives no scores."""


class Comparisons:
    """The comparisons of one task that wait or run.

    Args:
        task: for metrics.
        share: of the answers that are compared, 0..1.
        max_bytes: held for all of them.
        timeout_s: longest time of one, after its turn has come.
        observer: receives measurements.
        pause_s: between a verdict and its comparison.
        chance: a number in 0..1, a new one with each call.
    """

    def __init__(
        self,
        task: Task,
        *,
        share: float,
        max_bytes: int,
        timeout_s: float,
        observer: ShadowObserver,
        pause_s: float = _PAUSE_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.task = task
        self.observer = observer
        self._share = share
        self._free = max_bytes
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._chance = chance
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._pending: set[asyncio.Task[None]] = set()
        self._failing = False
        for outcome in Outcome:
            observer.shadow(task, outcome, 0)  # Prometheus sees no rate in a series that begins with 1

    @property
    def pending(self) -> int:
        """Comparisons that wait or run."""
        return len(self._pending)

    def chosen(self) -> bool:
        """Whether the next answer is one of the share."""
        return self._chance() < self._share

    def hold(self, size: int) -> bool:
        """Takes room for so many bytes; False: there is not enough, and nothing is taken."""
        if size > self._free:
            return False
        self._free -= size
        return True

    def release(self, size: int) -> None:
        """Gives room back."""
        self._free += size

    def add(self, comparison: Comparison, held: int) -> None:
        """Runs a comparison when its turn comes, and then releases the bytes that are held for it."""
        pending = asyncio.create_task(self._run(comparison))
        self._pending.add(pending)

        def ended(task: "asyncio.Task[None]") -> None:
            self._pending.discard(task)
            self.release(held)
            if task.cancelled():
                self.observer.shadow(self.task, Outcome.DROPPED)

        pending.add_done_callback(ended)

    async def close(self) -> None:
        """Drops what waits or runs."""
        pending = list(self._pending)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _run(self, comparison: Comparison) -> None:
        await asyncio.sleep(self._pause_s)
        async with self._turns:
            try:
                async with asyncio.timeout(self._timeout_s):
                    outcome = await comparison()
            except (BonafideError, TimeoutError) as error:
                self._failed(error, logging.WARNING)
            except Exception as error:
                self._failed(error, logging.ERROR)
            else:
                self._failing = False
                self.observer.shadow(self.task, outcome)

    def _failed(self, error: Exception, level: int) -> None:
        """Counts a failure; only the first of a series is logged, unless it is a bug."""
        self.observer.shadow(self.task, Outcome.FAILED)
        is_bug = level > logging.WARNING
        if is_bug or not self._failing:
            extra = {"runner": self.task, "cause": repr(error)}
            logger.log(level, "the shadow gave no score", extra=extra, exc_info=error if is_bug else None)
        self._failing = True

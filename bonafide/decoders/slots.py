"""Admission to decoding: a bounded number of steps at a time, shared fairly among callers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """Grants `slots` slots, and `spare` more to callers without one, so that no caller can hold all.

    A released slot goes to the waiting caller with the fewest; among equals, to the first in the queue.

    Args:
        slots: number of slots.
        spare: slots beyond them.
    """

    def __init__(self, slots: int, spare: int = 1) -> None:
        self._slots = slots
        self._spare = spare
        self._held: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def hold(self, caller: str) -> AsyncIterator[None]:
        """Waits for a slot and holds it for the block."""
        await self._acquire(caller)
        try:
            yield
        finally:
            self._release(caller)

    async def _acquire(self, caller: str) -> None:
        if self._is_free_for(caller) and not any(waiting == caller for waiting, _ in self._waiting):
            self._held[caller] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (caller, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            elif not turn.cancelled():  # already granted
                self._release(caller)
            raise

    def _is_free_for(self, caller: str) -> bool:
        held = self._held.total()
        return held < self._slots or (self._held[caller] == 0 and held < self._slots + self._spare)

    def _release(self, caller: str) -> None:
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]
        while free := [entry for entry in self._waiting if self._is_free_for(entry[0])]:
            entry = min(free, key=lambda waiting: self._held[waiting[0]])
            self._waiting.remove(entry)
            waiting, turn = entry
            if not turn.done():
                self._held[waiting] += 1
                turn.set_result(None)

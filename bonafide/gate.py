"""A weighted semaphore, first in, first out: room at a runner, or bytes in memory."""

import asyncio
from collections import deque


class Gate:
    """Holds `capacity` units; who comes first is let in first. A cancelled waiter leaves no trace.

    Args:
        capacity: units; an entry that asks for more takes all of them.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._free = capacity
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def try_acquire(self, weight: int) -> bool:
        """Takes `weight` units if they are free now and nobody waits."""
        if self._waiting or self._free < weight:
            return False
        self._free -= weight
        return True

    async def acquire(self, weight: int) -> int:
        """Waits for `weight` units, and returns how many to give back."""
        weight = min(weight, self._capacity)
        if self.try_acquire(weight):
            return weight
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (weight, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # our turn had come already
                self.release(weight)
            else:
                if entry in self._waiting:  # else a release in between has dropped it
                    self._waiting.remove(entry)
                self.release(0)
            raise
        return weight

    def release(self, weight: int) -> None:
        """Gives `weight` units back and lets in who fits now."""
        self._free += weight
        while self._waiting and self._waiting[0][0] <= self._free:
            waiting, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= waiting
                turn.set_result(None)

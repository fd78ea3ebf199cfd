"""A weighted semaphore, first in, first out: the capacity of a queue."""

import asyncio
from collections import deque


class WeightedSemaphore:
    """Holds `capacity` units; first come, first served. A cancelled waiter is removed.

    Args:
        capacity: units; a larger request takes all of them.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._free = capacity
        self._waiting: deque[tuple[int, asyncio.Future[int]]] = deque()

    def try_acquire(self, weight: int) -> bool:
        """Takes `weight` units if they are free now and no request waits."""
        if self._waiting or self._free < weight:
            return False
        self._free -= weight
        return True

    async def acquire(self, weight: int) -> int:
        """Waits for `weight` units, and returns how many to give back."""
        fitting = min(weight, self._capacity)
        if self.try_acquire(fitting):
            return fitting
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        entry = (weight, turn)
        self._waiting.append(entry)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # already granted
                self.release(turn.result())
            else:
                if entry in self._waiting:  # else a release in between has dropped it
                    self._waiting.remove(entry)
                self.release(0)
            raise

    def release(self, weight: int) -> None:
        """Returns `weight` units and wakes the waiters that fit now."""
        self._free += weight
        while self._waiting and min(self._waiting[0][0], self._capacity) <= self._free:
            waiting, turn = self._waiting.popleft()
            if not turn.done():
                taken = min(waiting, self._capacity)
                self._free -= taken
                turn.set_result(taken)

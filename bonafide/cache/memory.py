"""A key-value store in memory, bounded in bytes: expired items are evicted first, then the least recently used.

Items expire while nobody calls, too: windows of voices are not to be held for longer than was said.
"""

import asyncio
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

# Overhead of two ordered dictionaries and a tuple per item; not negligible, since scores are small.
_ENTRY_OVERHEAD_BYTES = 400


class MemoryKeyValue:
    """A `KeyValueStore` for one event loop.

    Args:
        max_bytes: Most bytes of keys, values and bookkeeping; an item above it is not stored.
        ttl_s: Seconds that an item is kept.
        clock: Monotonic seconds.
    """

    def __init__(self, max_bytes: int, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._values: OrderedDict[str, bytes] = OrderedDict()  # least recently used first
        self._expiry: OrderedDict[str, float] = OrderedDict()  # oldest first
        self._timer: asyncio.TimerHandle | None = None
        self.used_bytes = 0

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `KeyValueStore.get_many`."""
        self._drop_outdated()
        return [self._get(key) for key in keys]

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """See `KeyValueStore.put_many`."""
        self._drop_outdated()
        for key, value in items:
            self._put(key, value)
        self._set_timer()

    async def close(self) -> None:
        """Removes all items."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._values.clear()
        self._expiry.clear()
        self.used_bytes = 0

    def _get(self, key: str) -> bytes | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def _put(self, key: str, value: bytes) -> None:
        self._drop(key)
        cost = _cost(key, value)
        if cost > self._max_bytes:
            return
        while self.used_bytes + cost > self._max_bytes:
            self._drop(next(iter(self._values)))
        self._values[key] = value
        self._expiry[key] = self._clock() + self._ttl_s
        self.used_bytes += cost

    def _set_timer(self) -> None:
        """For the oldest item, unless it is set."""
        if self._timer is None and self._expiry:
            left_s = next(iter(self._expiry.values())) - self._clock()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, left_s), self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._drop_outdated()
        self._set_timer()

    def _drop_outdated(self) -> None:
        now = self._clock()
        while self._expiry:
            key, expiry = next(iter(self._expiry.items()))
            if expiry > now:
                return
            self._drop(key)

    def _drop(self, key: str) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            del self._expiry[key]
            self.used_bytes -= _cost(key, value)


def _cost(key: str, value: bytes) -> int:
    return sys.getsizeof(key) + sys.getsizeof(value) + _ENTRY_OVERHEAD_BYTES

"""A circuit breaker for key-value stores: after a failure no request is made until a background probe succeeds.

In: round trips to stores of one server. Out: their results, or `StoreFailed` at once while the circuit is open.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from bonafide.cache.key_value import KeyValueStore, StoreFailed

logger = logging.getLogger(__name__)

A = TypeVar("A")
T = TypeVar("T")
PROBE_KEY = "bonafide:probe"
_LATE_S = 0.05
"""A timer of the event loop that comes so much later tells that the process was held up."""
_UNREAD_S = 0.1
"""How long an answer that arrived meanwhile may take to be read."""


class CircuitOpen(StoreFailed):
    """The store was not called: it has failed, and no probe has succeeded since."""


class CircuitBreaker:
    """Bounds the time of round trips, and stops them after the first that fails. For one event loop.

    Several stores of one server may share it; then an outage costs one failed round trip among them all.

    Args:
        timeout_s: Longest time of one round trip, above 0.
        pause_s: Seconds between probes while the circuit is open.
        on_failed_probe: Called for every probe that fails.
    """

    def __init__(
        self, timeout_s: float, *, pause_s: float = 5.0, on_failed_probe: Callable[[], None] = lambda: None
    ) -> None:
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._on_failed_probe = on_failed_probe
        self._probe: asyncio.Task[None] | None = None  # set while the circuit is open

    @property
    def is_open(self) -> bool:
        """Whether a round trip would be refused now."""
        return self._probe is not None

    async def call(self, store: KeyValueStore, operation: Callable[[A], Awaitable[T]], what: A) -> T:
        """Returns `operation(what)`, where `operation` is a method of `store`.

        Raises:
            CircuitOpen: the store was not called.
            StoreFailed: it failed or did not respond in time; the circuit is open now.
        """
        if self.is_open:
            raise CircuitOpen("the server has failed and has not recovered yet")
        try:
            return await self._bounded(operation, what)
        except StoreFailed as error:
            self._open(store, error)
            raise

    async def close(self) -> None:
        """Stops probing; the circuit is closed afterwards."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])
            self._probe = None

    async def _bounded(self, operation: Callable[[A], Awaitable[T]], what: A) -> T:
        try:
            async with _answered_within(self._timeout_s):
                return await operation(what)
        except TimeoutError:
            raise StoreFailed(f"no answer within {self._timeout_s:g} s") from None

    def _open(self, store: KeyValueStore, error: StoreFailed) -> None:
        if self._probe is None:
            logger.warning("the cache is down, calls go on without it: %s", error)
            self._probe = asyncio.create_task(self._probe_until_it_succeeds(store), name="cache-probe")

    async def _probe_until_it_succeeds(self, store: KeyValueStore) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            try:
                # A write, since a full or read-only store still serves reads.
                await self._bounded(store.put_many, [(PROBE_KEY, b"")])
            except StoreFailed:
                self._on_failed_probe()
            else:
                break
        logger.warning("the cache is back")
        self._probe = None


@asynccontextmanager
async def _answered_within(timeout_s: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`; but an answer that lies unread because this process was held up is not late.

    Under load that would be taken for an outage, after which everything is computed again, under more load.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + timeout_s

    def end() -> None:
        now = loop.time()
        limit.reschedule(now + _UNREAD_S if now - due > _LATE_S else now)

    async with asyncio.timeout(None) as limit:
        timer = loop.call_at(due, end)
        try:
            yield
        finally:
            timer.cancel()


class GuardedStore:
    """A `KeyValueStore` behind a circuit breaker.

    Args:
        store: Where the bytes are kept.
        breaker: Its own, or that of all stores of its server.
    """

    def __init__(self, store: KeyValueStore, breaker: CircuitBreaker) -> None:
        self._store = store
        self._breaker = breaker

    @property
    def is_open(self) -> bool:
        """See `CircuitBreaker.is_open`."""
        return self._breaker.is_open

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `KeyValueStore.get_many` and `CircuitBreaker.call`."""
        return await self._breaker.call(self._store, self._store.get_many, keys)

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """See `KeyValueStore.put_many` and `CircuitBreaker.call`."""
        await self._breaker.call(self._store, self._store.put_many, items)

    async def close(self) -> None:
        """Stops probing, since the probe may use this store, and closes the store."""
        await self._breaker.close()
        await self._store.close()

"""What is known already of a recording: its facts, its windows, its scores. Redis, or memory.

In: a content id and window indices. Out: what was kept of them. A cache that is down is never an error.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bonafide.cache import codec as codec
from bonafide.cache.codec import RecordingMeta
from bonafide.cache.key_value import KeyValueStore, StoreFailed
from bonafide.cache.memory import MemoryKeyValue
from bonafide.cache.redis import RedisKeyValue
from bonafide.settings import Settings
from bonafide.verdict import WindowScore

__all__ = ["Cache", "RecordingMeta", "open_cache"]
logger = logging.getLogger(__name__)

A = TypeVar("A")
T = TypeVar("T")
# Items of one round trip: some 2 MB of windows, or 100 kB of scores.
_WINDOWS_AT_ONCE = 16
_SCORES_AT_ONCE = 1000
# Round trips at one time; with more, large windows of many calls would make each other look slow.
_ROUND_TRIPS = 8


class _Skipped(Exception):
    """This round trip was not made, or got no answer; those that would follow it are not made either."""


class Cache:
    """Facts, windows and scores by content. No method raises because the cache failed: it then knows nothing.

    After a failure nothing is asked any more until a probe in the background gets an answer, so an outage
    slows a call by one round trip at most. For one event loop.

    Args:
        store: Where the bytes are kept.
        timeout_s: Longest time of one round trip, and of the wait for its turn.
        keep_windows: Whether windows are stored.
        on_failure: Called for every failed round trip.
        pause_s: Seconds between probes while the store is down.
    """

    def __init__(
        self,
        store: KeyValueStore,
        *,
        timeout_s: float,
        keep_windows: bool = True,
        on_failure: Callable[[], None] = lambda: None,
        pause_s: float = 5.0,
    ) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._keep_windows = keep_windows
        self._on_failure = on_failure
        self._pause_s = pause_s
        self._turns = asyncio.Semaphore(_ROUND_TRIPS)
        self._probe: asyncio.Task[None] | None = None  # there while the store is down

    async def get_recording(self, content_id: str) -> RecordingMeta | None:
        """The facts of a recording, or None."""
        found = await self._get({codec.recording_key(content_id): 0}, 1, codec.decode_recording)
        return found.get(0)

    async def put_recording(self, content_id: str, meta: RecordingMeta) -> None:
        """Keeps the facts of a recording."""
        key = codec.recording_key(content_id)
        await self._put([(key, codec.encode_recording(key, meta))], 1)

    async def get_windows(self, content_id: str, indices: Sequence[int]) -> dict[int, NDArray[np.int16]]:
        """The windows that are kept, of those asked for; int16 arrays (samples,), free to be changed."""
        keys = {codec.window_key(content_id, index): index for index in indices}
        return await self._get(keys, _WINDOWS_AT_ONCE, codec.decode_window)

    async def put_windows(self, content_id: str, windows: Mapping[int, NDArray[np.int16]]) -> None:
        """Keeps windows, int16 arrays (samples,) by index; nothing when windows are not to be cached."""
        if not self._keep_windows:
            return

        def items() -> Iterator[tuple[str, bytes]]:
            for index, window in windows.items():
                key = codec.window_key(content_id, index)
                yield key, codec.encode_window(key, window)

        await self._put(items(), _WINDOWS_AT_ONCE)

    async def get_scores(self, content_id: str, model: str, indices: Sequence[int]) -> dict[int, WindowScore]:
        """Scores and speech of the windows, of those asked for, that this version of the model has judged."""
        keys = {codec.score_key(content_id, model, index): index for index in indices}
        return await self._get(keys, _SCORES_AT_ONCE, codec.decode_score)

    async def put_scores(self, content_id: str, model: str, scores: Mapping[int, WindowScore]) -> None:
        """Keeps scores by window index; what is no probability (NaN for a failed window) is left out."""

        def items() -> Iterator[tuple[str, bytes]]:
            for index, score in scores.items():
                if codec.is_score(score):
                    key = codec.score_key(content_id, model, index)
                    yield key, codec.encode_score(key, score)

        await self._put(items(), _SCORES_AT_ONCE)

    async def close(self) -> None:
        """Stops probing and lets the store go."""
        if self._probe:
            self._probe.cancel()
            await asyncio.wait([self._probe])
        await self._store.close()

    async def _get(
        self, keys: Mapping[str, int], at_once: int, decode: Callable[[str, bytes], T | None]
    ) -> dict[int, T]:
        found: dict[int, T] = {}
        remaining = iter(keys)
        with contextlib.suppress(_Skipped):
            while part := list(islice(remaining, at_once)):
                values = await self._round_trip(self._store.get_many, part)
                for key, value in zip(part, values, strict=True):
                    item = None if value is None else decode(key, value)
                    if item is not None:
                        found[keys[key]] = item
        return found

    async def _put(self, items: Iterable[tuple[str, bytes]], at_once: int) -> None:
        remaining = iter(items)
        with contextlib.suppress(_Skipped):
            while not self._probe and (part := list(islice(remaining, at_once))):
                await self._round_trip(self._store.put_many, part)

    async def _round_trip(self, ask: Callable[[A], Awaitable[T]], what: A) -> T:
        """What the store answers; raises `_Skipped` when it did not, is known to be down, or is too busy."""
        # Memory answers without a pause; an hour of windows must not hold up everybody else.
        await asyncio.sleep(0)
        if self._probe:
            raise _Skipped
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._turns.acquire()
        except TimeoutError:
            self._on_failure()
            raise _Skipped from None
        try:
            if self._probe:  # it went down while we stood in the queue
                raise _Skipped
            return await self._bounded(ask, what)
        except StoreFailed as error:
            self._on_failure()
            self._go_down(error)
            raise _Skipped from None
        finally:
            self._turns.release()

    async def _bounded(self, ask: Callable[[A], Awaitable[T]], what: A) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await ask(what)
        except TimeoutError:
            raise StoreFailed(f"no answer within {self._timeout_s:g} s") from None

    def _go_down(self, error: StoreFailed) -> None:
        if self._probe is None:
            logger.warning("the cache is down, calls go on without it: %s", error)
            self._probe = asyncio.create_task(self._wait_until_up(), name="cache-probe")

    async def _wait_until_up(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            try:
                # A write, since a full or read-only store still answers reads.
                await self._bounded(self._store.put_many, [(codec.PROBE_KEY, b"")])
            except StoreFailed:
                self._on_failure()
            else:
                break
        logger.warning("the cache is back")
        self._probe = None


def open_cache(settings: Settings, on_failure: Callable[[], None] = lambda: None) -> Cache:
    """The cache that the settings name: Redis with `REDIS_HOST`, else memory. Connects to nothing yet."""
    store: KeyValueStore
    if settings.redis_host:
        store = RedisKeyValue(
            host=settings.redis_host,
            port=settings.redis_port,
            password=settings.redis_password,
            timeout_s=settings.redis_timeout_s,
            ttl_s=settings.cache_ttl_s,
        )
    else:
        store = MemoryKeyValue(settings.cache_max_bytes, settings.cache_ttl_s)
    return Cache(
        store,
        timeout_s=settings.redis_timeout_s,
        keep_windows=settings.cache_windows,
        on_failure=on_failure,
    )

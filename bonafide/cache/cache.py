"""Cached data of recordings: metadata, windows, scores. In Redis, or in memory.

In: a content id and window indices. Out: what is cached for them. An unavailable cache is never an error.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bonafide.cache import codec as codec
from bonafide.cache.circuit_breaker import CircuitBreaker, CircuitOpen, GuardedStore
from bonafide.cache.codec import Codec, RecordingMeta
from bonafide.cache.key_value import KeyValueStore, StoreFailed
from bonafide.cache.memory import MemoryKeyValue
from bonafide.cache.seal import seal_of
from bonafide.settings import Settings
from bonafide.verdict import WindowScore

__all__ = ["Cache", "RecordingMeta", "open_cache"]

A = TypeVar("A")
T = TypeVar("T")
# Items of one round trip: some 2 MB of windows, or 100 kB of scores.
_WINDOWS_AT_ONCE = 16
_SCORES_AT_ONCE = 1000
# Concurrent round trips; with more, the windows of many calls would slow each other down.
_ROUND_TRIPS = 8


class _Skipped(Exception):
    """This round trip was not made, or failed; those that would follow it are skipped too."""


class Cache:
    """Metadata, windows and scores by content. No method raises because the store failed: reads then return nothing.

    Behind a circuit breaker an outage slows a call by one round trip at most. For one event loop.

    Args:
        store: Where the bytes are kept.
        values: Encodes the values.
        timeout_s: Longest wait for the start of a round trip.
        keep_windows: Whether windows are stored.
        on_failure: Called for every round trip that failed or had to wait too long; not for those that an open
            circuit refused.
    """

    def __init__(
        self,
        store: GuardedStore,
        values: Codec,
        *,
        timeout_s: float,
        keep_windows: bool = True,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._values = values
        self._timeout_s = timeout_s
        self._keep_windows = keep_windows
        self._on_failure = on_failure
        self._turns = asyncio.Semaphore(_ROUND_TRIPS)

    async def get_recording(self, content_id: str) -> RecordingMeta | None:
        """The metadata of a recording, or None."""
        found = await self._get({codec.recording_key(content_id): 0}, 1, self._values.decode_recording)
        return found.get(0)

    async def put_recording(self, content_id: str, meta: RecordingMeta) -> None:
        """Stores the metadata of a recording."""
        key = codec.recording_key(content_id)
        await self._put([(key, self._values.encode_recording(key, meta))], 1)

    async def get_windows(
        self, content_id: str, indices: Sequence[int], lengths: range
    ) -> dict[int, NDArray[np.int16]]:
        """The cached windows among those requested; int16 arrays (samples,), writable copies.

        Args:
            content_id: Of the recording.
            indices: Of the windows.
            lengths: Numbers of samples that a window of this recording may have; one of another length is not there.
        """
        keys = {codec.window_key(content_id, index): index for index in indices}
        decode = partial(self._values.decode_window, lengths=lengths)
        return await self._get(keys, _WINDOWS_AT_ONCE, decode)

    async def put_windows(self, content_id: str, windows: Mapping[int, NDArray[np.int16]]) -> None:
        """Stores windows, int16 arrays (samples,) by index; does nothing if `keep_windows` is off."""
        if not self._keep_windows:
            return

        def items() -> Iterator[tuple[str, bytes]]:
            for index, window in windows.items():
                key = codec.window_key(content_id, index)
                yield key, self._values.encode_window(key, window)

        await self._put(items(), _WINDOWS_AT_ONCE)

    async def get_scores(
        self, content_id: str, model: str, indices: Sequence[int], members: int = 0
    ) -> dict[int, WindowScore]:
        """Cached scores and speech ratios by this version of the model, of the windows requested.

        Args:
            content_id: Of the recording.
            model: Fingerprint of the model.
            indices: Of the windows.
            members: Of an ensemble; a score without that many of theirs is not there.
        """
        keys = {codec.score_key(content_id, model, index): index for index in indices}
        return await self._get(keys, _SCORES_AT_ONCE, partial(self._values.decode_score, members=members))

    async def put_scores(self, content_id: str, model: str, scores: Mapping[int, WindowScore]) -> None:
        """Stores scores by window index, without those that are no probability (NaN for a failed window)."""

        def items() -> Iterator[tuple[str, bytes]]:
            for index, score in scores.items():
                if codec.is_score(score):
                    key = codec.score_key(content_id, model, index)
                    yield key, self._values.encode_score(key, score)

        await self._put(items(), _SCORES_AT_ONCE)

    async def close(self) -> None:
        """Closes the store."""
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
            # Windows are not encoded for a store that would not be called.
            while not self._store.is_open and (part := list(islice(remaining, at_once))):
                await self._round_trip(self._store.put_many, part)

    async def _round_trip(self, operation: Callable[[A], Awaitable[T]], what: A) -> T:
        """The store's result; raises `_Skipped` if it failed, was not called, or is too busy."""
        # The memory store never suspends; an hour of windows must not block other calls.
        await asyncio.sleep(0)
        if self._store.is_open:
            raise _Skipped
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._turns.acquire()
        except TimeoutError:
            self._on_failure()
            raise _Skipped from None
        try:
            return await operation(what)
        except CircuitOpen:
            raise _Skipped from None
        except StoreFailed:
            self._on_failure()
            raise _Skipped from None
        finally:
            self._turns.release()


def open_cache(
    settings: Settings, on_failure: Callable[[], None] = lambda: None, breaker: CircuitBreaker | None = None
) -> Cache:
    """The cache in the settings: Redis with `REDIS_HOST` or `REDIS_URL`, else memory. Opens no connection yet.

    Args:
        settings: of the service.
        on_failure: see `Cache`; called for every failed probe too when the breaker is the cache's own.
        breaker: shared by all stores in this Redis; None: the cache has its own.
    """
    store: KeyValueStore
    if settings.redis is not None:
        from bonafide.cache.redis import RedisKeyValue  # its client takes a third of a second of the start

        store = RedisKeyValue(settings.redis, settings.redis_timeout_s, settings.cache_ttl_s)
    else:
        store = MemoryKeyValue(settings.cache_max_bytes, settings.cache_ttl_s)
    if breaker is None:
        breaker = CircuitBreaker(settings.redis_timeout_s, on_failed_probe=on_failure)
    # What only this process can write needs no authentication.
    secret = settings.cache_key.get_secret_value() if settings.redis is not None else ""
    return Cache(
        GuardedStore(store, breaker),
        Codec(seal_of(secret)),
        timeout_s=settings.redis_timeout_s,
        keep_windows=settings.cache_windows,
        on_failure=on_failure,
    )

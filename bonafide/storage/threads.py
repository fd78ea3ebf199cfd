"""Blocking storage calls in a few threads of their own, each with an event that is set when its call is abandoned.

In: a function that takes a stop event. Out: its result. Depends on errors; independent of storage.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from bonafide.errors import Unavailable
from bonafide.media_digest import MediaDigest, MediaHash

T = TypeVar("T")
CHUNK_BYTES = 256 * 1024


class Stopped(Exception):
    """The caller no longer waits; raised inside a thread."""


class _ReadSome(Protocol):
    def __call__(self, size: int, /) -> bytes:
        """Up to `size` bytes; empty at the end."""


Take = Callable[[_ReadSome, int, threading.Event], T]
"""Takes the bytes of an object of a known size; see `collect` and `hashed`."""


class StoppableThreads:
    """A bounded pool of threads.

    Args:
        count: Most calls that run at one time; more are queued.
        name: Prefix of the threads' names.
    """

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._running: set[threading.Event] = set()
        self._closed = False

    async def run(self, work: Callable[[threading.Event], T]) -> T:
        """Runs `work` in a thread; its event is set when this call is cancelled or the pool closes.

        Raises:
            Unavailable: The pool is closed, or was closed meanwhile.
            Exception: Whatever `work` raises.
        """
        stop = threading.Event()

        def work_unless_stopped() -> T:
            # It may have been queued for long.
            if stop.is_set():
                raise Stopped
            return work(stop)

        if self._closed:
            raise Unavailable("the service is shutting down")
        self._running.add(stop)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work_unless_stopped)
        except Stopped:
            raise Unavailable("the service is shutting down") from None
        finally:
            stop.set()
            self._running.discard(stop)

    async def close(self) -> None:
        """Signals all running work to stop and waits until it has."""
        self._closed = True
        for stop in self._running:
            stop.set()
        await asyncio.to_thread(self._pool.shutdown)


def hashed(read_some: _ReadSome, size: int, stop: threading.Event) -> MediaDigest:
    """Hashes up to `size` + 1 bytes piece by piece, likewise, and holds no more than one piece.

    Raises:
        Stopped: The event was set.
    """
    whole = MediaHash()
    while (left := size + 1 - whole.length) > 0:
        if stop.is_set():
            raise Stopped
        piece = read_some(min(CHUNK_BYTES, left))
        if not piece:
            break
        whole.update(piece)
    return whole.digest


def collect(read_some: _ReadSome, size: int, stop: threading.Event) -> bytearray:
    """Reads up to `size` + 1 bytes piece by piece, so that an excess byte is detected and no more are held.

    Raises:
        Stopped: The event was set.
    """
    collected = bytearray()
    while (left := size + 1 - len(collected)) > 0:
        if stop.is_set():
            raise Stopped
        piece = read_some(min(CHUNK_BYTES, left))
        if not piece:
            break
        collected += piece
    return collected

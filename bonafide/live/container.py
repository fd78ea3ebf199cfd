"""Live audio in a container: WebM, Ogg or fragmented MP4 arrives in parts of any size, mono blocks come out of each.

FFmpeg pulls and messages push, so each stream has a thread of its own, which is blocked while there is nothing to read
and works only while `feed` is awaited. Its memory is bounded by one message and its decoded samples.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from threading import Condition

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.containers import identify
from bonafide.audio.decoding import Block, MonoDecoder
from bonafide.audio.reader import AudioLimits
from bonafide.errors import BonafideError, InvalidRequest, TooLarge, UnreadableMedia

_ACCEPTED = frozenset({"matroska", "ogg", "mov"})
_HEAD_BYTES = 64
"""Bytes that are needed to recognise the format."""
_TAG_NAME = b"\x45\xa3"
_MAX_TAGS = 10_000  # see `containers.refuse_excessive_tags`


class ContainerStream:
    """One container, from its header on. Must be closed, or its thread never ends.

    Args:
        threads: provides a thread for the stream's lifetime.
        limits: on channels and sample rate.
        max_message_s: most seconds of audio that one part may hold.
    """

    def __init__(self, threads: Executor, limits: AudioLimits, max_message_s: float) -> None:
        self._threads = threads
        self._limits = limits
        self._max_message_s = max_message_s
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._tags = self._bytes = 0
        self._source: _Source | None = None
        self._blocks: list[Block] = []
        self._seconds = 0.0
        self._error: BonafideError | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._decoder: MonoDecoder | None = None

    @property
    def warnings(self) -> list[str]:
        """What is odd about the audio so far, as sentences; for when nothing is being fed."""
        return [] if self._decoder is None else self._decoder.remarks()

    async def feed(self, data: bytes) -> list[Block]:
        """The audio that a part completes, in order.

        Raises:
            UnreadableMedia: not one of these containers, broken, or samples that are not finite.
            TooLarge: too many channels, a sample rate or a number of seconds beyond the limits.
            InvalidRequest: the container has failed before.
        """
        if self._error is not None:
            raise InvalidRequest("this container has failed; begin another one with config")
        try:
            return await self._decoded(data)
        except BonafideError as error:
            self._error = error
            self.close()
            raise

    def close(self) -> None:
        """Ends the thread."""
        if self._source is not None:
            self._source.close()

    async def _decoded(self, data: bytes) -> list[Block]:
        self._count_tags(data)
        self._seconds = 0.0
        if self._source is None:
            self._head += data
            if len(self._head) < _HEAD_BYTES:
                return []
            self._waiting = self._loop.create_future()
            self._begin()
        elif data:
            self._waiting = self._loop.create_future()
            self._source.feed(data)
        else:
            return []
        await self._waiting
        if self._error is not None:
            raise self._error
        blocks, self._blocks = self._blocks, []
        return blocks

    def _begin(self) -> None:
        found = identify(self._head)
        if not _ACCEPTED.issuperset(found.demuxers):
            raise UnreadableMedia("a live container is WebM, Ogg or fragmented MP4")
        self._source = _Source(self._head, self._all_decoded)
        self._threads.submit(self._decode, self._source, found.demuxers)

    def _count_tags(self, data: bytes) -> None:
        self._bytes += len(data)
        self._tags += data.count(_TAG_NAME)
        if self._tags > _MAX_TAGS + self._bytes // 8_192:
            raise UnreadableMedia("the container carries too many tags")

    def _decode(self, source: "_Source", demuxers: tuple[str, ...]) -> None:
        """Runs in the thread, from the first byte to the last."""
        decoder = self._decoder = MonoDecoder(self._head, self._limits.max_channels, self._limits.max_sample_rate)
        error: BonafideError = UnreadableMedia("the container has ended")
        try:
            for block in decoder.stream_blocks(source, demuxers):
                self._blocks.append(block)
                self._seconds += len(block.samples) / block.rate
                if self._seconds > self._max_message_s:
                    raise TooLarge(f"more than {self._max_message_s:g} s of audio in one message")
        except BonafideError as reason:
            error = reason
        self._loop.call_soon_threadsafe(self._answer, error)

    def _all_decoded(self) -> None:
        """Called in the thread when all bytes so far are decoded."""
        self._loop.call_soon_threadsafe(self._answer, None)

    def _answer(self, error: BonafideError | None) -> None:
        self._error = self._error or error
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def joined(blocks: list[Block]) -> tuple[NDArray[np.float32], int]:
    """The samples of all blocks, float32 (n,), and their rate in Hz; 0 when there are no blocks.

    Raises:
        InvalidRequest: blocks of several rates.
    """
    rates = {block.rate for block in blocks}
    if len(rates) > 1:
        raise InvalidRequest("the sample rate changes within the container")
    return np.concatenate([np.zeros(0, np.float32), *[block.samples for block in blocks]]), max(rates, default=0)


class _Source:
    """A file for FFmpeg that cannot seek, and whose reads wait for bytes."""

    def __init__(self, data: bytes, on_empty: Callable[[], None]) -> None:
        self._on_empty = on_empty
        self._data = bytearray(data)
        self._changed = Condition()
        self._closed = False
        self._deadline = float("inf")

    def feed(self, data: bytes) -> None:
        with self._changed:
            self._data += data
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def allow(self, cpu_s: float) -> None:
        """See `AudioSource.allow`."""
        self._deadline = time.thread_time() + cpu_s

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, as soon as there are any; none when closed."""
        if time.thread_time() > self._deadline:
            raise UnreadableMedia("the container takes too long to decode")
        with self._changed:
            if not self._data and not self._closed:
                self._on_empty()
                self._changed.wait_for(lambda: self._data or self._closed)
            taken = bytes(self._data[:size]) if not self._closed else b""
            del self._data[:size]
            return taken

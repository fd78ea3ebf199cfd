"""Audio in a container that arrives in parts: WebM, Ogg or fragmented MP4 in, mono blocks out of each part.

FFmpeg pulls and parts are pushed, so each container has a thread of its own, which is blocked while there is nothing to
read and works only during `feed`. Its memory is bounded by one part and its decoded samples.
"""

import time
from threading import Condition, Thread

from bonafide.audio.containers import MATROSKA_TAG_NAME, identify, too_many_matroska_tags
from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits
from bonafide.errors import TooLarge, UnreadableMedia

_ACCEPTED = frozenset({"matroska", "ogg", "mov"})
_HEAD_BYTES = 64
"""Bytes that are needed to recognise the format."""


class ContainerReader:
    """One container, from its header on; useless once it has raised. Must be closed, or its thread never ends.

    Args:
        limits: on channels and sample rate.
        max_part_s: most seconds of audio that one part may hold.

    Attributes:
        seconds: audio decoded so far.
    """

    def __init__(self, limits: AudioLimits, max_part_s: float) -> None:
        self._limits = limits
        self._max_part_s = max_part_s
        self._head = b""
        self._tags = self._bytes = 0
        self._source: _Source | None = None
        self._decoder: MonoDecoder | None = None
        self._blocks: list[Block] = []
        self._part_s = 0.0
        self._thread: Thread | None = None
        self._end = UnreadableMedia("the container has ended")
        self._error: Exception | None = None
        self.seconds = 0.0

    @property
    def warnings(self) -> list[str]:
        """What is odd about the audio so far, as sentences."""
        return [] if self._decoder is None else self._decoder.remarks()

    @property
    def lossy(self) -> bool:
        """Whether its codec loses something, as far as it is known."""
        return self._decoder is not None and self._decoder.lossy

    def feed(self, data: bytes) -> list[Block]:
        """The audio that a part completes, in order.

        Raises:
            UnreadableMedia: not one of these containers, broken, or samples that are not finite.
            TooLarge: too many channels, a sample rate or a number of seconds beyond the limits.
        """
        self._count_tags(data)
        self._part_s = 0.0
        if self._source is None:
            self._head += data
            if len(self._head) < _HEAD_BYTES:
                return []
            self._source = self._begun()
        elif data:
            self._source.feed(data)
        self._source.wait_until_read()
        if self._error is not None:
            raise self._error
        return self._taken()

    def finish(self) -> list[Block]:
        """What demuxer, decoder and mixer held back, at the end; nothing can be fed afterwards. Raises as `feed`."""
        if self._source is None or self._thread is None:
            return []
        self._part_s = 0.0
        self._source.close()
        self._thread.join()
        if self._error is not None and self._error is not self._end:
            raise self._error
        return self._taken()

    def close(self) -> None:
        """Ends the thread."""
        if self._source is not None:
            self._source.close()

    def _taken(self) -> list[Block]:
        blocks, self._blocks = self._blocks, []
        return blocks

    def _begun(self) -> "_Source":
        found = identify(self._head)
        if not _ACCEPTED.issuperset(found.demuxers):
            raise UnreadableMedia("a live container is WebM, Ogg or fragmented MP4")
        source = _Source(self._head)
        self._decoder = MonoDecoder(self._head, self._limits.max_channels, self._limits.max_sample_rate)
        self._thread = Thread(target=self._decode, args=(self._decoder, source, found.demuxers), daemon=True)
        self._thread.start()
        return source

    def _count_tags(self, data: bytes) -> None:
        self._bytes += len(data)
        self._tags += data.count(MATROSKA_TAG_NAME)
        if too_many_matroska_tags(self._tags, self._bytes):
            raise UnreadableMedia("the container carries too many tags")

    def _decode(self, decoder: MonoDecoder, source: "_Source", demuxers: tuple[str, ...]) -> None:
        """Runs in the thread, from the first byte to the last."""
        error: Exception = self._end
        try:
            for block in decoder.stream_blocks(source, demuxers):
                self._blocks.append(block)
                seconds = len(block.samples) / block.rate
                self.seconds += seconds
                self._part_s += seconds
                if self._part_s > self._max_part_s:
                    raise TooLarge(f"more than {self._max_part_s:g} s of audio in one message")
        except Exception as reason:  # raised where the part was fed
            error = reason
        self._error = error
        source.close()


class _Source:
    """A file for FFmpeg that cannot seek, and whose reads wait for bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = bytearray(data)
        self._changed = Condition()
        self._idle = self._closed = False
        self._deadline = float("inf")

    def feed(self, data: bytes) -> None:
        with self._changed:
            self._data += data
            self._idle = False
            self._changed.notify_all()

    def wait_until_read(self) -> None:
        """Returns when the reader waits for more bytes, or has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle or self._closed)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def allow(self, cpu_s: float) -> None:
        """See `AudioSource.allow`."""
        self._deadline = time.thread_time() + cpu_s

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, as soon as there are any; none when closed."""
        if time.thread_time() > self._deadline:
            raise UnreadableMedia("the container takes too long to decode")
        with self._changed:
            if not self._data and not self._closed:
                self._idle = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._data or self._closed)
            taken = bytes(self._data[:size]) if not self._closed else b""
            del self._data[:size]
            return taken

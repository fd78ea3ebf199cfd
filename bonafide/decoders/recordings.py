"""A recording as lists of windows: decoded in a process of its own, or in a thread of this one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from typing import Protocol, cast

from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.audio.reader import WINDOW_SAMPLES, WINDOW_SECONDS, AudioLimits, AudioReader, Window
from bonafide.decoders.codec import unpacked_windows
from bonafide.decoders.frames import Media
from bonafide.decoders.pool import DecoderPool, Job

_BYTES_PER_SAMPLE = 2


class WindowStream(Protocol):
    """One recording that is being decoded.

    Attributes:
        seconds: audio decoded so far.
        warnings: sentences about what could not be read, or is odd; complete after the last step.
        conditions: what weakens a verdict, by the names of `audio.conditions`; complete after the last step.
        channel_conditions: those of each channel that is judged apart, by its number.
    """

    seconds: float
    warnings: list[str]
    conditions: tuple[str, ...]
    channel_conditions: dict[int, tuple[str, ...]]

    async def next_windows(self) -> list[Window] | None:
        """The next windows; None at the end.

        Raises:
            BonafideError: see `AudioReader`.
        """


class RecordingDecoder(Protocol):
    """Where recordings are decoded."""

    def open(
        self,
        data: Media,
        limits: AudioLimits,
        windows: int,
        before: int = 0,
        *,
        hop_s: float = WINDOW_SECONDS,
        mode: ChannelMode = AUTO,
    ) -> AbstractAsyncContextManager[WindowStream]:
        """A recording, in steps of at most `windows` windows; nothing is decoded before the first.

        With each window come `before` samples of what lies before it, windows start every `hop_s` seconds, and `mode`
        says which channels are judged, see `AudioReader`.

        A bytearray may be empty after the first step, so that no second copy of the recording is held.
        """


class ProcessRecordings:
    """Decodes recordings in processes, which end with the block that they are opened for."""

    def __init__(self, pool: DecoderPool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def open(
        self,
        data: Media,
        limits: AudioLimits,
        windows: int,
        before: int = 0,
        *,
        hop_s: float = WINDOW_SECONDS,
        mode: ChannelMode = AUTO,
    ) -> AsyncIterator[WindowStream]:
        """See `RecordingDecoder`."""
        # Refuses what is empty or too large before it is sent; looks at the size alone.
        AudioReader(cast(bytes, data), limits, windows).close()
        async with self._pool.job() as job:
            yield _ProcessWindows(job, self._pool.end, data, limits, windows, before, hop_s=hop_s, mode=mode)


class ThreadRecordings:
    """Decodes recordings in this process: for tests, whose input is trusted."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    @asynccontextmanager
    async def open(
        self,
        data: Media,
        limits: AudioLimits,
        windows: int,
        before: int = 0,
        *,
        hop_s: float = WINDOW_SECONDS,
        mode: ChannelMode = AUTO,
    ) -> AsyncIterator[WindowStream]:
        """See `RecordingDecoder`."""
        with AudioReader(bytes(data), limits, windows, before, hop_s=hop_s, mode=mode) as reader:
            yield _ThreadWindows(reader, self._threads)


class _ProcessWindows:
    def __init__(
        self,
        job: Job,
        give_back: Callable[[Job], None],
        data: Media,
        limits: AudioLimits,
        windows: int,
        before: int,
        *,
        hop_s: float,
        mode: ChannelMode,
    ) -> None:
        self.seconds = 0.0
        self.warnings: list[str] = []
        self.conditions: tuple[str, ...] = ()
        self.channel_conditions: dict[int, tuple[str, ...]] = {}
        self._job = job
        self._give_back = give_back
        self._data = data
        self._limits = limits
        self._windows = windows
        self._before = before
        self._hop_s = hop_s
        self._mode = mode
        self._begun = self._ended = False

    async def next_windows(self) -> list[Window] | None:
        if self._ended:
            return None
        most_bytes = self._windows * (WINDOW_SAMPLES + self._before) * _BYTES_PER_SAMPLE
        async with self._job.slot():
            if self._begun:
                answer = await self._job.ask({"do": "next"}, most_bytes=most_bytes)
            else:
                begin = {
                    "do": "audio",
                    "limits": asdict(self._limits),
                    "windows": self._windows,
                    "before": self._before,
                    "hop_s": self._hop_s,
                    "channel_mode": str(self._mode),
                }
                answer = await self._job.ask(begin, self._data, most_bytes=most_bytes)
                self._begun = True
            self._ended = "end" in answer.header
            if self._ended:
                self._give_back(self._job)  # before the slot, or whoever gets that needs another process
        self.seconds = float(answer.header["seconds"])
        self.warnings = [str(warning) for warning in answer.header["warnings"]]
        self.conditions = tuple(map(str, answer.header["conditions"]))
        self.channel_conditions = {
            int(channel): tuple(map(str, names)) for channel, names in answer.header["channel_conditions"]
        }
        if "windows" not in answer.header:
            return None
        return unpacked_windows(answer.header["windows"], answer.payload)


class _ThreadWindows:
    def __init__(self, reader: AudioReader, threads: Executor) -> None:
        self._reader = reader
        self._threads = threads
        self.seconds = 0.0
        self.warnings = reader.warnings
        self.conditions: tuple[str, ...] = ()
        self.channel_conditions: dict[int, tuple[str, ...]] = {}

    async def next_windows(self) -> list[Window] | None:
        step = asyncio.get_running_loop().run_in_executor(self._threads, lambda: next(self._reader, None))
        windows = await step
        self.seconds, self.conditions = self._reader.seconds, self._reader.conditions
        self.channel_conditions = self._reader.channel_conditions
        return windows

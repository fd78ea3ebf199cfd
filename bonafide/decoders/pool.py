"""The decoding processes of a service: assigned to one file at a time, reused after success, killed otherwise."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Self

from bonafide.decoders.frames import Frame, Media
from bonafide.decoders.processes import Template, Worker, WorkerLost
from bonafide.decoders.slots import FairSlots
from bonafide.errors import BonafideError, InvalidRequest, TooLarge, Unavailable, UnreadableMedia
from bonafide.security.caller import current_caller
from bonafide.settings import Settings
from bonafide.settings.group import MIB

log = logging.getLogger(__name__)

_ERRORS: dict[str, type[BonafideError]] = {
    each.code.value: each for each in (InvalidRequest, TooLarge, UnreadableMedia)
}
_FIXED_MEMORY = 512 * MIB
_MAX_FILES = 500
"""Files that a process reads before it is replaced, so that no leak in a library grows up to the limit."""
_SMALL_FILE = MIB
"""Larger files are handed to processes one after the other, since meanwhile there are two copies of them."""
_BYTES_PER_PIXEL = 12  # of a WebP, whose decoder holds two copies, or of a progressive JPEG in CMYK; others take less


class DecoderPool:
    """Assigns processes to files. As many files as admission allows may have one; `slots` of them work at a time.

    Args:
        slots: processes that work at a time; one more for callers without a working process.
        memory: bytes that each process may use beside its code.
        template: process that they are forked from.
    """

    def __init__(self, slots: int, memory: int, template: Template) -> None:
        self._slots = FairSlots(slots)
        self._memory = memory
        self._template = template
        self._files: Counter[Worker] = Counter()
        self._idle: list[Worker] = []
        self._most_idle = slots + 1
        self._handing_over = asyncio.Lock()
        self._closed = False

    @classmethod
    def from_settings(cls, settings: Settings, slots: int | None = None, template: Template | None = None) -> Self:
        """A pool whose processes may use the memory that the largest accepted file needs.

        Args:
            settings: of the service.
            slots: None: by the settings.
            template: None: that of the other pools.
        """
        files = 2 * max(settings.max_audio_bytes, settings.max_image_bytes)
        memory = _FIXED_MEMORY + files + _BYTES_PER_PIXEL * settings.max_image_pixels
        return cls(slots or settings.decode_threads, memory, template or Template.of_process())

    async def start(self) -> None:
        """Starts the template and a first process, for which the first file need not wait.

        Raises:
            Unavailable: none can be started; the template has told why in the log.
        """
        self._idle.append(await self._begun())

    @asynccontextmanager
    async def job(self) -> AsyncIterator["Job"]:
        """A process for the block; killed when the block is left before the file's end."""
        job = self.begin()
        try:
            yield job
        finally:
            self.end(job)

    def begin(self) -> "Job":
        """A process for a file, once it is asked something; `end` must be called."""
        return Job(
            self._begun,
            self._slots.hold,
            self._handing_over,
            self._memory,
            lambda: self._template.pid is not None,
        )

    def end(self, job: "Job") -> None:
        """Takes the process back, or kills it before the file's end; harmless when that has been done."""
        if job.worker is not None:
            self._take_back(job.worker)
            job.worker = None

    def close(self) -> None:
        """Ends the idle processes; the others end with their files."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Ends the idle processes; the next file gets a new one."""
        while self._idle:
            self._end(self._idle.pop())

    async def _begun(self) -> Worker:
        try:
            return await self._worker()
        except (OSError, WorkerLost) as error:
            raise Unavailable("no decoding process could be started") from error

    async def _worker(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            self._end(worker)
        worker = Worker(self._template.fork())
        try:
            await worker.started()
        except BaseException:
            worker.kill()
            raise
        return worker

    def _take_back(self, worker: Worker) -> None:
        self._files[worker] += 1
        is_worn = self._files[worker] >= _MAX_FILES
        if worker.is_clean and not is_worn and not self._closed and len(self._idle) < self._most_idle:
            self._idle.append(worker)
        else:
            self._end(worker)

    def _end(self, worker: Worker) -> None:
        self._files.pop(worker, None)
        worker.kill()


class Job:
    """One file in a process.

    Attributes:
        worker: the process, once there is one.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[Worker]],
        hold: Callable[[str], AbstractAsyncContextManager[None]],
        handing_over: asyncio.Lock,
        memory: int,
        template_runs: Callable[[], bool],
    ) -> None:
        self._find = find
        self._hold = hold
        self._handing_over = handing_over
        self._memory = memory
        self._template_runs = template_runs
        self.worker: Worker | None = None

    def slot(self) -> AbstractAsyncContextManager[None]:
        """A slot to work now, shared fairly among callers."""
        return self._hold(current_caller())

    async def ask(self, header: dict[str, Any], payload: Media = b"", *, most_bytes: int) -> Frame:
        """One step; the caller holds a slot.

        Args:
            header: see `bonafide.decoders.worker`.
            payload: the file, with the first step; a bytearray is empty afterwards.
            most_bytes: of the reply's payload.

        Raises:
            UnreadableMedia: reported by the process; or it was killed at a limit.
            TooLarge: reported by the process.
            Unavailable: all processes have ended, not this one alone; or none can be started.
            RuntimeError: a bug in the process.
        """
        try:
            if self.worker is None:
                self.worker = await self._find()
            async with self._handing_over if len(payload) > _SMALL_FILE else nullcontext():
                await self.worker.send({**header, "memory": self._memory}, payload)
            answer = await self.worker.answer(most_bytes=most_bytes)
        except WorkerLost as error:
            log.warning("a decoding process ended in the midst of its file")
            if not self._template_runs():
                raise Unavailable("the decoding processes are being restarted") from error
            raise UnreadableMedia("the file takes too much time or memory to decode") from error
        if (code := answer.header.get("error")) is not None:
            raise _ERRORS[code](str(answer.header["message"]))
        if "bug" in answer.header:
            raise RuntimeError(f"a decoding process failed:\n{answer.header['bug']}")
        return answer

"""Recordings and photos on their way out. A recording is read part by part and never held whole."""

import io
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeAlias

from .errors import TooLarge, Unavailable
from .proto.audio_analyzer_pb2 import AnalyzeAudioRequest, AnalyzeUploadRequest
from .results import AudioEvent, ChunkScore, Progress
from .threads import in_thread

PART_BYTES = 256 * 1024
MAX_PHOTO_BYTES = 64 * 1024 * 1024

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""What can be judged: a path, the bytes themselves, or a file object opened in binary mode."""


def read_photo(source: Source) -> bytes:
    """All bytes of a photo.

    Raises:
        OSError: the file cannot be read.
        TooLarge: more than `MAX_PHOTO_BYTES`, which no service takes; said before it fills the memory.
    """
    data = bytearray()
    with _opened(source) as file:
        while part := _read(file):
            data += part
            if len(data) > MAX_PHOTO_BYTES:
                raise TooLarge(f"a photo of more than {MAX_PHOTO_BYTES // 2**20} MiB")
    return bytes(data)


class Upload:
    """A recording on its way to the service.

    `open` comes first. `parts` or `aparts` is what gRPC sends, `follow` is told what comes back. `failure` is what the
    file or the callback raised meanwhile: gRPC would hide it, so whoever waits for the call raises it instead. `leave`
    or `aleave` comes last, whatever happened: the caller may rewind the file then, and send it again.

    Args:
        source: the recording.
        task_id: the caller's own id, for the service's log.
        on_progress: called at every step, never twice at a time.
        channel_mode: which channels are judged.
    """

    def __init__(
        self,
        source: Source,
        task_id: str,
        on_progress: Callable[[Progress], None] | None,
        hop_s: float | None = None,
        channel_mode: str | int = "auto",
    ) -> None:
        self.failure: Exception | None = None
        self._source = source
        self._opened: AbstractContextManager[BinaryIO] | None = None
        self._rewinds = False
        self._task_id = task_id
        self._hop_s = hop_s
        self._channel_mode = str(channel_mode)
        self._on_progress = on_progress
        self._progress = Progress()
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._over = False
        self._first = True
        self._abort: Callable[[], object] | None = None
        self._abort_known = threading.Event()

    def open(self) -> None:
        """Opens the file; of a pipe that nobody writes it waits for somebody. One that has been left is closed again.

        Raises:
            OSError: it cannot be opened.
        """
        self._opened = _opened(self._source)
        self._file = self._opened.__enter__()
        if self._over:
            return self._close()
        self._rewinds = self._file.seekable()
        self._progress = Progress(total_bytes=_size(self._file))
        return None

    def leave(self) -> None:
        """Closes the file, if it was opened here; a caller's own is not read any more.

        Waits for the part that is being read, unless it is a pipe's, which may be silent.
        """
        self._over = True
        if self._rewinds:
            with self._reading:
                pass
        self._close()

    async def aleave(self) -> None:
        """As `leave`, for the asyncio client."""
        self._over = True
        try:
            if self._rewinds and self._reading.locked():
                await in_thread(self.leave)
        finally:
            self._close()

    def parts(self) -> Iterator[AnalyzeUploadRequest]:
        """The parts, for the blocking client; runs in gRPC's own thread."""
        try:
            while part := self._next_part():
                yield part
                self._report(sent=len(part.data))
        except Exception as error:
            # Ending here quietly would half-close the call, and the truncated recording would be judged.
            self.failure = error
            self._abort_known.wait()
            if self._abort is not None:
                self._abort()

    async def aparts(self) -> AsyncIterator[AnalyzeUploadRequest]:
        """The parts, for the asyncio client; gRPC cancels the call when this raises."""
        try:
            while part := await in_thread(self._next_part):
                yield part
                self._report(sent=len(part.data))
        except Exception as error:
            self.failure = error
            raise

    def on_failure(self, abort: Callable[[], object]) -> None:
        """Says how `parts` cancels its call."""
        self._abort = abort
        self._abort_known.set()

    def follow(self, event: AudioEvent) -> AudioEvent:
        """Counts a scored chunk, and hands the event on."""
        if isinstance(event, ChunkScore):
            self._report(chunks=1, total_chunks=event.total_chunks)
        return event

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.__exit__(None, None, None)

    def _next_part(self) -> AnalyzeUploadRequest | None:
        with self._reading:
            if self._over:
                raise Unavailable("the call has ended")
            data = _read(self._file)
        if not data and not self._first:
            return None
        if not self._first:
            return AnalyzeUploadRequest(data=data)
        self._first = False
        return AnalyzeUploadRequest(
            data=data, task_id=self._task_id, hop_seconds=self._hop_s, channel_mode=self._channel_mode
        )

    def _report(self, sent: int = 0, chunks: int = 0, total_chunks: int | None = None) -> None:
        with self._lock:
            before = self._progress
            self._progress = replace(
                before,
                sent_bytes=before.sent_bytes + sent,
                done_chunks=before.done_chunks + chunks,
                total_chunks=total_chunks or before.total_chunks,
            )
            if self._on_progress is not None:
                self._on_progress(self._progress)


def stored(
    bucket: str, key: str, task_id: str, hop_s: float | None, channel_mode: str | int = "auto"
) -> AnalyzeAudioRequest:
    """Names a stored recording, and how it is to be judged."""
    return AnalyzeAudioRequest(
        minio_bucket_name=bucket,
        minio_object_key=key,
        task_id=task_id,
        hop_seconds=hop_s,
        channel_mode=str(channel_mode),
    )


def _opened(source: Source) -> AbstractContextManager[BinaryIO]:
    """The source as a file; what the caller opened stays open."""
    if isinstance(source, (str, os.PathLike)):
        return Path(source).open("rb", buffering=0)  # a buffered pipe cannot be closed while a thread waits for it
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    return nullcontext(source)


def _read(file: BinaryIO) -> bytes:
    data = file.read(PART_BYTES)
    if not isinstance(data, bytes):
        raise TypeError(f"a file object opened in binary mode is needed, this one gave {type(data).__name__}")
    return data


def _size(file: BinaryIO) -> int | None:
    """Bytes from here to the end; None for a pipe and the like."""
    if not file.seekable():
        return None
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return end - here or None

"""Tasks of Ray that read objects and decode them as the service does: tables of entries in, tables of items out.

An object is decoded in steps of a few windows, in a process that can be killed (`bonafide.decoders`), so a task holds
little of it at a time. What is wrong with an object is said in its last item; the task goes on with the next.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import pyarrow as pa
from tenacity import AsyncRetrying, retry_if_exception_type

from bonafide.audio.reader import AudioLimits
from bonafide.decoders.photos import ProcessPhotos
from bonafide.decoders.pool import DecoderPool
from bonafide.decoders.recordings import ProcessRecordings
from bonafide.errors import BonafideError, Internal, InvalidRequest, Unavailable
from bonafide.media_digest import digest_of
from bonafide.media_format import media_format
from bonafide.photo.rules import PhotoRules
from models.configured import settings_for
from models.info import ImageGeometry, Task
from scan.items import Item, Whole, items_table, without_array
from scan.names import is_escaped
from scan.retries import pauses
from scan.source import Entry, Source

logger = logging.getLogger(__name__)

_WINDOWS_PER_STEP = 16
"""2 MB: what is decoded at once of a recording."""
_READ_AHEAD_BYTES = 16 * 1024 * 1024
"""A larger object is not read while the one before it is decoded."""
_WHILE_DECODING = ("seconds", "warnings", "conditions", "channel_conditions")
"""What a decoder says of a recording beside its windows."""


@dataclass(frozen=True)
class DecodeJob:
    """What a task needs to know beside the objects.

    Attributes:
        source: where they lie.
        task: recordings or photos.
        given: settings that the scan passes on, see `scan.identity.passed_on`.
        geometries: how photos are prepared.
        before: samples before each window that are given with it.
        patience_s: how long a storage that does not answer is waited for.
    """

    source: Source
    task: Task
    given: tuple[tuple[str, Any], ...]
    geometries: tuple[ImageGeometry, ...]
    before: int
    patience_s: float


def decoded(entries: pa.Table, job: DecodeJob) -> Iterator[pa.Table]:
    """The items of all objects in a table, in their order, a few at a time."""
    yield from _reader_of(job).read(entries)


@cache
def _reader_of(job: DecodeJob) -> "_Reader":
    """One for all tasks of a process, which keeps connections and decoding processes."""
    return _Reader(job)


class _Reader:
    def __init__(self, job: DecodeJob) -> None:
        self._job = job
        self._settings = settings_for(job.task, **dict(job.given))
        self._limits = AudioLimits.from_settings(self._settings)
        self._loop = asyncio.new_event_loop()
        self._store, self._bucket = job.source.open(self._settings, job.task)
        pool = DecoderPool.from_settings(self._settings, slots=1)
        self._loop.run_until_complete(pool.start())
        self._recordings = ProcessRecordings(pool)
        self._photos = ProcessPhotos(pool, PhotoRules.from_settings(self._settings))

    def read(self, entries: pa.Table) -> Iterator[pa.Table]:
        tables = self._tables(entries)
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(anext(tables))
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(tables.aclose())

    async def _tables(self, entries: pa.Table) -> AsyncGenerator[pa.Table, None]:
        rows = [(row.pop("ordinal"), Entry(**row)) for row in entries.to_pylist()]
        ahead: asyncio.Task[tuple[Entry, bytearray]] | None = None
        try:
            for place, (ordinal, entry) in enumerate(rows):
                reading, ahead = ahead or asyncio.create_task(self._fetched(entry)), None
                await asyncio.wait([reading])
                etag = (entry if reading.exception() is not None else reading.result()[0]).etag
                if place + 1 < len(rows) and rows[place + 1][1].size <= _READ_AHEAD_BYTES:
                    ahead = asyncio.create_task(self._fetched(rows[place + 1][1]))
                count = 0
                async with contextlib.aclosing(self._of_object(entry, reading)) as groups:
                    async for items, whole in groups:
                        yield items_table(ordinal, count, items, etag, whole)
                        count += len(items)
        finally:
            if ahead is not None:
                ahead.cancel()

    async def _of_object(
        self, entry: Entry, reading: "asyncio.Task[tuple[Entry, bytearray]]"
    ) -> AsyncGenerator[tuple[list[Item], Whole | None], None]:
        """Its items in groups, the last with what is known of it as a whole."""
        whole = Whole(entry)
        try:
            current, data = reading.result()
            whole = _known(current, data)
            items = self._windows(data) if self._job.task == "voice" else self._photo(data)
            async with contextlib.aclosing(items) as groups:
                held: list[Item] = []
                state: dict[str, Any] = {}
                async for group, state in groups:  # noqa: B007 - the last one is used
                    if held and group:
                        yield held, None
                    held = group or held
            finished = Whole(current, whole.content_id, whole.codec, whole.sample_rate, state)
            yield held or [Item(None, {})], finished
        except BonafideError as error:
            yield [Item(None, {})], _failed(whole, error)
        except Exception:
            logger.exception("an object could not be decoded", extra={"key": entry.key})
            yield [Item(None, {})], _failed(whole, Internal("decoding failed; the cause is in the log of the worker"))

    async def _windows(self, data: bytearray) -> AsyncGenerator[tuple[list[Item], dict[str, Any]], None]:
        async with self._recordings.open(data, self._limits, _WINDOWS_PER_STEP, self._job.before) as stream:
            while (windows := await stream.next_windows()) is not None:
                yield [Item(window.pcm, without_array(window, "pcm")) for window in windows], {}
            yield [], {name: getattr(stream, name) for name in _WHILE_DECODING if hasattr(stream, name)}

    async def _photo(self, data: bytearray) -> AsyncGenerator[tuple[list[Item], dict[str, Any]], None]:
        photo = await self._photos.read(data, *self._job.geometries)
        about = {"reason": photo.reason, "faces": [asdict(face) for face in photo.faces]}
        yield [Item(photo.pixels, about)], {}

    async def _fetched(self, entry: Entry) -> tuple[Entry, bytearray]:
        """The object as it is now; a storage that does not answer is asked for as long as the job says."""
        if is_escaped(entry.key):
            raise InvalidRequest("the file's name is not UTF-8")
        retrying = AsyncRetrying(retry=retry_if_exception_type(Unavailable), **pauses(self._job.patience_s))
        return await retrying(self._read_now, entry)

    async def _read_now(self, entry: Entry) -> tuple[Entry, bytearray]:
        stat, data = await self._store.fetch(self._bucket, entry.key)
        return Entry(entry.key, stat.etag or entry.etag, stat.size, stat.modified), data


def _known(entry: Entry, data: bytearray) -> Whole:
    return Whole(entry, f"sha256-{digest_of(data).sha256}", media_format(data), sample_rate(data))


def _failed(whole: Whole, error: BonafideError) -> Whole:
    return Whole(
        whole.entry,
        whole.content_id,
        whole.codec,
        whole.sample_rate,
        error_code=error.code.value,
        error_message=error.message,
    )


def sample_rate(data: bytes | bytearray) -> int | None:
    """Hz, as the first bytes of a WAV or FLAC file say; None: of another, or nowhere near a rate."""
    found = 0
    if data[8:16] == b"WAVEfmt ":
        found = int.from_bytes(data[24:28], "little")
    elif data[:4] == b"fLaC" and len(data) >= 21:
        found = int.from_bytes(data[18:21], "big") >> 4
    return found if 0 < found <= 1_000_000 else None

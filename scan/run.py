"""A scan from its list of objects to committed rows; what a killed one has committed is not judged again."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import ray
import ray.data

from bonafide.audio.reader import samples_before
from bonafide.settings import Settings
from models.cpus import usable_cpus
from models.info import ModelInfo
from scan.cluster import session
from scan.decode import DecodeJob, decoded
from scan.identity import identity, passed_on
from scan.items import Whole, entries_table
from scan.listing import listed
from scan.options import Options
from scan.places import place_at
from scan.progress import Progress
from scan.result import TRANSIENT, Result
from scan.score import Scorer, described_model
from scan.source import Entry, Source
from scan.verdicts import ScoredItem, Verdicts, scored_item

_PASSES = 3
_BLOCK_ENTRIES, _BLOCK_BYTES = 32, 64 * 1024 * 1024
_ROWS_PER_SCORING = {"cpu": 16, "cuda": 256}


def scan(options: Options, settings: Settings, tell: Callable[[Progress], None]) -> Progress:
    """Judges what has no row yet.

    Args:
        options: what is asked for.
        settings: of the service.
        tell: is called with the counts whenever they change.

    Returns:
        The counts; if they are not `finished`, the same call goes on.

    Raises:
        WrongUse, StorageGone, TakenOver: see there.
        RayError: a model cannot be loaded, or the engine is broken.
    """
    source, cpus, given = Source.at(options.source, settings), usable_cpus(), passed_on(settings)
    place = place_at(options.out, settings, options.patience_s)
    # Before the result is opened, which takes it over and writes its manifest.
    entries = [entry for entry in listed(source, options, settings) if options.selection.takes(entry)]
    with session(options.address, cpus, options.scorers, options.gpus):
        needs: dict[str, Any] = {"num_cpus": cpus, "num_gpus": options.gpus}
        described: Any = ray.remote(described_model).options(**needs).remote(options.task, given)
        info = ModelInfo.from_dict(ray.get(described))
        result = Result(place, identity(source, info, settings))
        finished = result.finished(retry_errors=options.retry_errors)
        todo = [entry for entry in entries if finished.get(entry.key) != entry.etag]
        result.forget([entry.key for entry in todo if entry.key in finished])
        progress = Progress(total=len(todo), skipped=len(entries) - len(todo))
        tell(progress)
        job = DecodeJob(source, options.task, given, info.geometries, samples_before(info), options.patience_s)
        sink = _Sink(result, Verdicts(settings, info), source.bucket, options, progress, tell)
        for _ in range(_PASSES):
            if todo:
                rows = _scored(todo, job, info, options, needs)
                sink.take(todo, rows)
                todo = sink.left(todo)
        if progress.finished:
            result.tidy()
    return progress


def _scored(
    entries: Sequence[Entry], job: DecodeJob, info: ModelInfo, options: Options, needs: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    tables, first = [], 0
    for block in _blocks(entries):
        tables.append(entries_table(first, block))
        first += len(block)
    scored = (
        ray.data.from_blocks(tables)
        .map_batches(cast(Any, decoded), batch_size=None, batch_format="pyarrow", fn_kwargs={"job": job}, num_cpus=1)
        .map_batches(
            cast(Any, Scorer),
            fn_constructor_args=(info.task, job.given, info.fingerprint),
            batch_size=_ROWS_PER_SCORING["cuda" if info.device == "cuda" else "cpu"],
            batch_format="pyarrow",
            concurrency=options.scorers,
            **needs,
        )
    )
    for batch in scored.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from cast(Any, batch).to_pylist()


def _blocks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Objects of one task: a few, or a large one."""
    block: list[Entry] = []
    size = 0
    for entry in entries:
        if block and (len(block) >= _BLOCK_ENTRIES or size + entry.size > _BLOCK_BYTES):
            yield block
            block, size = [], 0
        block.append(entry)
        size += entry.size
    if block:
        yield block


class _Sink:
    """Takes scored items in any order, and commits the rows of objects whose items are all there."""

    def __init__(
        self,
        result: Result,
        verdicts: Verdicts,
        bucket: str,
        options: Options,
        progress: Progress,
        tell: Callable[[Progress], None],
    ) -> None:
        self._result, self._verdicts, self._bucket = result, verdicts, bucket
        self._commit_s, self._progress, self._tell = options.commit_s, progress, tell
        self._done: set[str] = set()
        self._recordings: list[dict[str, Any]] = []
        self._windows: list[dict[str, Any]] = []

    def take(self, entries: Sequence[Entry], rows: Iterator[dict[str, Any]]) -> None:
        """Takes all rows of a pass."""
        pending: dict[int, dict[int, dict[str, Any]]] = {}
        ends: dict[int, int] = {}
        began = time.monotonic()
        with asyncio.Runner() as runner:
            for row in rows:
                ordinal = row["ordinal"]
                if entries[ordinal].key in self._done:
                    continue  # a task that was repeated
                pending.setdefault(ordinal, {})[row["index"]] = row
                if row["whole"] is not None:
                    ends[ordinal] = row["index"]
                if len(pending[ordinal]) == ends.get(ordinal, -2) + 1:
                    items = pending.pop(ordinal)
                    runner.run(self._judge(entries[ordinal], [items[index] for index in range(len(items))]))
                if time.monotonic() - began > self._commit_s:
                    self._commit()
                    began = time.monotonic()
        self._commit()

    def left(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those without a row yet."""
        return [entry for entry in entries if entry.key not in self._done]

    async def _judge(self, entry: Entry, items: Sequence[dict[str, Any]]) -> None:
        scored: list[ScoredItem] = [scored_item(i["about"], i["judged"]) for i in items if i["judged"] is not None]
        found = await self._verdicts.rows(Whole.from_json(items[-1]["whole"]), scored)
        self._recordings.append({"bucket": self._bucket, **found.recording})
        self._windows += found.windows
        self._done.add(entry.key)
        self._progress.done += 1
        self._progress.errors += found.recording["error_code"] is not None
        self._progress.passing += found.recording["error_code"] in TRANSIENT
        self._tell(self._progress)

    def _commit(self) -> None:
        self._result.add(self._recordings, self._windows)
        self._recordings, self._windows = [], []

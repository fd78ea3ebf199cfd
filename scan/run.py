"""A scan from its list of objects to committed rows; what a killed one has committed is not judged again."""

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
from scan.items import entries_table
from scan.listing import listed
from scan.options import Options
from scan.progress import Progress
from scan.result import Result
from scan.result_storage import storage_at
from scan.score import Scorer, described_model
from scan.sink import Sink
from scan.source import Entry, Source
from scan.verdicts import Verdicts

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
    storage = storage_at(options.out, settings, options.patience_s)
    # Before the result is opened, which takes it over and writes its manifest.
    entries = [entry for entry in listed(source, options, settings) if options.selection.takes(entry)]
    with session(options.address, cpus, options.scorers, options.gpus):
        needs: dict[str, Any] = {"num_cpus": cpus, "num_gpus": options.gpus}
        described: Any = ray.remote(described_model).options(**needs).remote(options.task, given)
        info = ModelInfo.from_dict(ray.get(described))
        result = Result(storage, identity(source, info, settings))
        finished = result.finished(retry_errors=options.retry_errors)
        todo = [entry for entry in entries if finished.get(entry.key) != entry.etag]
        result.forget([entry.key for entry in todo if entry.key in finished])
        progress = Progress(total=len(todo), skipped=len(entries) - len(todo))
        tell(progress)
        job = DecodeJob(source, options.task, given, info.geometries, samples_before(info), options.patience_s)
        sink = Sink(result, Verdicts(settings, info), source.bucket, options, progress, tell)
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

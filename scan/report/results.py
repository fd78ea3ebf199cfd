"""The tables of a scan's result in large batches, whatever the sizes of its parts: a few parts in memory at a time."""

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scan.manifest import Part, read_manifest
from scan.result_storage import ResultStorage
from scan.schema import MANIFEST
from scan.source import WrongUse

PART = "part"
"""Column with the number of the part that a row is of."""
_AHEAD = 4
"""Files that are read before they are needed."""


def opened(storage: ResultStorage) -> tuple[Sequence[Part], str]:
    """The parts of the result there, and the archive that it is of.

    Raises:
        WrongUse: there is no result, or one of a later release.
        StorageGone: its storage does not answer.
    """
    manifest = read_manifest(storage)
    if manifest is None:
        raise WrongUse(f"no {MANIFEST} there: no result of a scan")
    return manifest.parts, str(manifest.scan.get("archive") or "")


def batches(
    storage: ResultStorage, names: Sequence[tuple[int, str]], columns: Sequence[str], rows: int
) -> Iterator[pa.RecordBatch]:
    """Rows of some files, in their order.

    Args:
        storage: where they lie.
        names: number and file of each part.
        columns: what is read; `PART` comes to it.
        rows: in a batch, roughly.

    Raises:
        WrongUse: a file is gone, or is no such table.
        StorageGone: the storage does not answer.
    """
    held: list[pa.RecordBatch] = []
    for number, name, content in _contents(storage, names):
        try:
            for batch in pq.ParquetFile(io.BytesIO(content)).iter_batches(rows, columns=list(columns)):
                held.append(batch.append_column(PART, pa.array([number] * len(batch), pa.int64())))
                if sum(map(len, held)) >= rows:
                    yield from _joined(held)
                    held = []
        except (pa.ArrowException, KeyError, OSError) as error:  # the last of what is damaged within
            raise WrongUse(f"{name} is no table of a scan: {error}") from error
    yield from _joined(held)


def _joined(held: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if any(map(len, held)):
        yield pa.concat_batches(held)


def _contents(storage: ResultStorage, names: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str, bytes]]:
    """The files' bytes, `_AHEAD` of them read meanwhile."""
    todo = iter(names)
    with ThreadPoolExecutor(_AHEAD) as pool:
        reading: deque[tuple[int, str, Future[Any]]] = deque()
        while True:
            while len(reading) < _AHEAD and (following := next(todo, None)):
                reading.append((*following, pool.submit(storage.read, following[1])))
            if not reading:
                return
            number, name, future = reading.popleft()
            if (content := future.result()) is None:
                raise WrongUse(f"{name} is gone, which the manifest names; if a scan is going on, try again")
            yield number, name, content

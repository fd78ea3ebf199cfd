"""The result of a scan, part by part: what is committed counts, whenever the scan dies.

A part is two Parquet files with names of their own. It counts from the moment at which the manifest names it, and the
manifest is replaced as a whole. Rows that no longer hold are taken out of their parts in the same way.
"""

import io
import json
import logging
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scan.manifest import Manifest, Part, read_manifest
from scan.result_storage import ResultStorage
from scan.schema import MANIFEST, RECORDINGS, RECORDINGS_FOLDER, WINDOWS, WINDOWS_FOLDER
from scan.source import WrongUse

logger = logging.getLogger(__name__)

TRANSIENT = frozenset({"unavailable", "overloaded", "deadline_exceeded"})
"""Error codes that say nothing of the object: it is judged again when the scan goes on."""
_REPLACED = "manifest.replaced.json"
_FOLDERS = (RECORDINGS_FOLDER, WINDOWS_FOLDER)
_OWN = re.compile(r"[0-9a-f]{32}\.parquet|\.[a-z0-9_]{8}\.part")
"""Names of what a scan writes into its folders, and of what `FolderStorage` leaves there when it is killed."""


class TakenOver(Exception):
    """Another scan writes to the same result since this one began."""


class Result:
    """A result that this process writes; whoever opens it last is the one that may.

    Args:
        storage: where it lies.
        scan: what its rows have in common, see `scan.identity`; rows made under another one no longer count.

    Attributes:
        replaced: rows of another model or other settings that do not count any more.

    Raises:
        WrongUse: it is the result of another archive, or of a later release.
        StorageGone: its storage does not answer.
    """

    def __init__(self, storage: ResultStorage, scan: Mapping[str, Any]) -> None:
        self._storage = storage
        self._scan = json.loads(json.dumps(scan))
        self._writer = uuid.uuid4().hex
        found = read_manifest(storage)
        self._parts: tuple[Part, ...] = ()
        self.replaced = 0
        if found is not None:
            for name in ("archive", "task"):
                if found.scan.get(name) != self._scan.get(name):
                    raise WrongUse(
                        f"the result there is of {name} {found.scan.get(name)!r}, not {self._scan.get(name)!r}"
                    )
            if found.scan == self._scan:
                self._parts = found.parts
            else:
                self._replace(found)
        self._put()

    @property
    def rows(self) -> int:
        """Rows of recordings that are committed."""
        return sum(part.rows for part in self._parts)

    def finished(self, *, retry_errors: bool = False) -> dict[str, str | None]:
        """The etag of each key that has a row; None: its row does not last, see `TRANSIENT`.

        Args:
            retry_errors: whether no row with an error lasts.
        """
        found: dict[str, str | None] = {}
        for part in self._parts:
            table = self._read(part.recordings, ["key", "etag", "error_code"])
            columns = (table[name].to_pylist() for name in ("key", "etag", "error_code"))
            for key, etag, code in zip(*columns, strict=True):
                lasts = code is None or not (retry_errors or code in TRANSIENT)
                found[key] = etag if lasts else None
        return found

    def forget(self, keys: Collection[str]) -> None:
        """Takes the rows of these keys out of the result, all at one time; raises as `add`."""
        if not keys:
            return
        wanted, parts = pa.array(list(keys), pa.string()), []
        for part in self._parts:
            recordings = self._read(part.recordings)
            kept = recordings.filter(pc.invert(pc.is_in(recordings["key"], wanted)))
            if kept.num_rows == recordings.num_rows:
                parts.append(part)
            elif kept.num_rows:
                windows = self._read(part.windows)
                parts.append(self._written(kept, windows.filter(pc.invert(pc.is_in(windows["key"], wanted)))))
        self._require_own()
        self._parts = tuple(parts)
        self._put()

    def add(self, recordings: Sequence[Mapping[str, Any]], windows: Sequence[Mapping[str, Any]]) -> None:
        """Commits rows, see `scan.schema`; either all of them stand in the result afterwards or none.

        Raises:
            TakenOver: another scan has opened the result.
            StorageGone: its storage does not answer.
        """
        if not recordings:
            return
        part = self._written(
            pa.Table.from_pylist(list(recordings), RECORDINGS), pa.Table.from_pylist(list(windows), WINDOWS)
        )
        self._require_own()
        self._parts = (*self._parts, part)
        self._put()

    def tidy(self) -> None:
        """Removes files that no longer count: of a scan that was killed, and of rows that were replaced.

        What no scan has written stays: the folders of a result may have been somebody's before.
        """
        found = {folder: self._storage.names(folder) for folder in _FOLDERS}
        self._require_own()  # after the lists: a scan that begins later has written nothing that is in them
        self._storage.remove(_REPLACED)  # before the files that it names
        known = {name for part in self._parts for name in part.files}
        for folder, names in found.items():
            for name in names:
                if name not in known and _OWN.fullmatch(name.removeprefix(f"{folder}/")):
                    self._storage.remove(name)

    def _replace(self, found: Manifest) -> None:
        """Puts aside what is of another model or other settings; what was put aside for that before counts again."""
        earlier = read_manifest(self._storage, _REPLACED)
        if earlier is not None and earlier.scan == self._scan and self._has(earlier.parts):
            self._parts = earlier.parts
            logger.warning("%d rows of an earlier scan with this model and these settings count again", self.rows)
            self._put()  # first: nothing else names them once the other rows are put aside
        self.replaced = sum(part.rows for part in found.parts)
        if found.parts:
            self._storage.write(_REPLACED, found.to_json())
            logger.warning(
                "%d rows there are of another model or other settings; they go when this scan ends", self.replaced
            )

    def _has(self, parts: Sequence[Part]) -> bool:
        """Whether there are parts, and all of their files."""
        there = {name for folder in _FOLDERS for name in self._storage.names(folder)}
        return bool(parts) and there.issuperset(name for part in parts for name in part.files)

    def _written(self, recordings: pa.Table, windows: pa.Table) -> Part:
        name = f"{uuid.uuid4().hex}.parquet"
        part = Part(f"{RECORDINGS_FOLDER}/{name}", f"{WINDOWS_FOLDER}/{name}", recordings.num_rows, windows.num_rows)
        self._storage.write(part.windows, _parquet(windows))
        self._storage.write(part.recordings, _parquet(recordings))
        return part

    def _read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        return read_table(self._storage, name, columns)

    def _require_own(self) -> None:
        found = read_manifest(self._storage)
        if found is None or found.writer != self._writer:
            raise TakenOver("another scan has begun to write to this result; this one ends")

    def _put(self) -> None:
        self._storage.write(MANIFEST, Manifest(self._scan, self._writer, self._parts).to_json())


def read_table(storage: ResultStorage, name: str, columns: list[str] | None = None) -> pa.Table:
    """A file of a part.

    Raises:
        WrongUse: it is gone, or damaged.
    """
    content = storage.read(name)
    if content is None:
        raise WrongUse(f"{name} is gone, which the manifest names")
    try:
        return pq.read_table(io.BytesIO(content), columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise WrongUse(f"{name} is no table of a scan: {error}") from error


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()

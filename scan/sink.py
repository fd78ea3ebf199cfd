"""From scored items, in whatever order they come, to committed rows."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from scan.items import Whole
from scan.options import Options
from scan.progress import Progress
from scan.result import TRANSIENT, Result
from scan.source import Entry
from scan.verdicts import ScoredItem, Verdicts, scored_item


class Sink:
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
                held = pending.setdefault(ordinal, {})
                if held and next(iter(held.values()))["etag"] != row["etag"]:
                    held.clear()  # such a task has found another state of the object
                    ends.pop(ordinal, None)
                held[row["index"]] = row
                if row["whole"] is not None:
                    ends[ordinal] = row["index"]
                if len(held) == ends.get(ordinal, -2) + 1:
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

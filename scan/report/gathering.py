"""One pass over a scan's tables, a batch at a time: memory does not grow with the number of recordings."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scan.report import histograms, outcomes, remarks
from scan.report.counts import Groups
from scan.report.histograms import Histograms
from scan.report.remarks import Remarks
from scan.report.results import PART, batches, opened
from scan.report.strips import Strips
from scan.report.suspicious import MostSuspicious
from scan.result_storage import ResultStorage

NO_FOLDER = "(no folder)"
NOT_READ = "(not read)"
NO_TIME = "(not known)"
_BATCH = 32_768
_KEPT = (
    "key",
    "task",
    "codec",
    "modified",
    "seconds",
    "label",
    "decision",
    "score",
    "threshold",
    "llr",
    "partially_spoofed",
    "suspicious",
    "conditions",
    "reason",
    "windows",
    "model_name",
    "model_version",
)
_COUNTED = (
    "key",
    "etag",
    "modified",
    "task",
    "codec",
    "seconds",
    "size",
    "score",
    "threshold",
    "scanned_at",
    "calibrated",
)
_COLUMNS = {*_COUNTED, *_KEPT, *outcomes.COLUMNS, *remarks.COLUMNS, *histograms.COLUMNS}
_WINDOW_COLUMNS = ("key", "channel", "index", "start", "end", "score")


@dataclass
class Span:
    """Earliest and latest of some times; None before the first one."""

    first: datetime | None = None
    last: datetime | None = None

    def add(self, times: Any) -> None:
        """Takes in an array of times."""
        found = pc.min_max(times).as_py()
        for each in (found["min"], found["max"]):
            if each is not None:
                self.first = min(self.first or each, each)
                self.last = max(self.last or each, each)


class Gathered:
    """All numbers of a report.

    Attributes:
        archive: what was scanned, as the scan calls it.
        tasks, days, sources, codecs: counts of outcomes by task, by day of the object's last change (UTC; None: not
            known), by the first folders of its key, and by codec.
        histograms: scores by model.
        remarks: conditions, warnings, reasons, errors.
        suspicious: rows of the most suspicious recordings and photos.
        strips: their windows.
        size: bytes of all objects.
        uncalibrated: rows whose score is not calibrated.
        modified, scanned: spans of time.
    """

    def __init__(self, archive: str, top: int, source_depth: int) -> None:
        self.archive = archive
        self.source_depth = source_depth
        self.tasks, self.days, self.sources, self.codecs = (Groups() for _ in range(4))
        self.histograms, self.remarks = Histograms(), Remarks()
        self.modified, self.scanned = Span(), Span()
        self.size = self.uncalibrated = 0
        self.strips = Strips({})
        self._most = MostSuspicious(top)

    @property
    def suspicious(self) -> list[dict[str, Any]]:
        """The most suspicious rows, the first one most."""
        return self._most.rows

    def add(self, rows: pa.RecordBatch) -> None:
        """Adds a batch of the table of recordings, with the numbers of their parts."""
        outcome = outcomes.outcomes(rows)
        # What could not be looked up has no etag, and no time either.
        unknown = pc.equal(rows["etag"], "")
        modified = pc.if_else(unknown, pa.scalar(None, rows["modified"].type), rows["modified"])
        days = pc.cast(pc.floor_temporal(modified, unit="day"), pa.date32())
        for groups, values in (
            (self.tasks, rows["task"]),
            (self.days, days),
            (self.sources, sources(rows["key"], self.source_depth)),
            (self.codecs, pc.fill_null(rows["codec"], NOT_READ)),
        ):
            groups.add(values, outcome, rows["partially_spoofed"], rows["seconds"])
        self.histograms.add(rows)
        self.remarks.add(rows, outcome)
        self.modified.add(modified)
        self.scanned.add(rows["scanned_at"])
        self.size += pc.sum(rows["size"]).as_py() or 0
        self.uncalibrated += pc.sum(pc.and_(pc.is_valid(rows["score"]), pc.invert(rows["calibrated"]))).as_py() or 0
        self._most.add(rows.select([*_KEPT, PART]))


def sources(keys: Any, depth: int) -> Any:
    """The first `depth` folders of each key, strings (rows,); `NO_FOLDER` of a key that has fewer."""
    # A segment but `.`, which is no folder, see `scan.names`.
    folder = r"(?:[^/.]|[^/]{2,}|)"
    found = pc.extract_regex(keys, pattern=rf"^(?P<source>{folder}(?:/{folder}){{{depth - 1}}})/")
    return pc.fill_null(pc.struct_field(found, "source"), NO_FOLDER)


def gathered(storage: ResultStorage, *, top: int, source_depth: int = 1) -> Gathered:
    """Reads both tables of a scan.

    Args:
        storage: where the result lies.
        top: how many of the most suspicious are kept.
        source_depth: folders of a key that make its source, 1 or more.

    Raises:
        WrongUse: there is no result, or a file of it is gone or no such table.
        StorageGone: its storage does not answer.
    """
    parts, archive = opened(storage)
    found = Gathered(archive, top, source_depth)
    for rows in batches(storage, [(n, part.recordings) for n, part in enumerate(parts)], sorted(_COLUMNS), _BATCH):
        found.add(rows)
    suspicious = found.suspicious
    found.strips = Strips.for_rows(suspicious)
    keys = pa.array([row["key"] for row in suspicious], pa.string())
    holding = [(number, parts[number].windows) for number in sorted({row[PART] for row in suspicious})]
    for windows in batches(storage, holding, _WINDOW_COLUMNS, _BATCH):
        for window in windows.filter(pc.is_in(windows["key"], keys)).to_pylist():
            found.strips.add(window)
    return found


def day_text(day: date | str | None) -> str:
    """A day as ISO 8601, or the name of what is counted together."""
    if day is None:
        return NO_TIME
    return day if isinstance(day, str) else day.isoformat()

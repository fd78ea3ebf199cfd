"""The tables of a report, once, for the HTML file and the CSV files alike: raw values, and how each column is shown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from scan.report.counts import Counts, Groups
from scan.report.gathering import Gathered, day_text
from scan.report.histograms import BINS
from scan.report.outcomes import BONAFIDE, ERROR, NO_SPEECH, SPOOF, UNCERTAIN

Kind = Literal["text", "code", "count", "share", "score", "seconds", "hours"]
Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: in CSV.
        heading: in HTML.
        kind: how its values are shown there.
    """

    name: str
    heading: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of its CSV file.
        caption: in HTML.
        columns: of each row.
        rows: values in the order of `columns`.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: list[tuple[Value, ...]]


_COUNTS = (
    Column("rows", "All", "count"),
    Column("spoof", "Spoof or fake", "count"),
    Column("uncertain", "Uncertain", "count"),
    Column("bonafide", "Bona fide or live", "count"),
    Column("no_speech", "No speech", "count"),
    Column("errors", "Errors", "count"),
    Column("partially_spoofed", "Partially spoofed", "count"),
    Column("spoof_share", "Spoof, of judged", "share"),
    Column("error_share", "Errors, of all", "share"),
    Column("hours", "Hours", "hours"),
)

_MODEL = (
    Column("task", "Task", "text"),
    Column("model_name", "Model", "text"),
    Column("model_version", "Version", "text"),
    Column("model_fingerprint", "Fingerprint", "text"),
)
_BINS = (Column("from", "From", "score"), Column("to", "To", "score"), Column("scores", "Scores", "count"))
_STRETCHES = (Column("start", "From", "seconds"), Column("end", "To", "seconds"), Column("score", "Score", "score"))
_STRIPS = (
    Column("channel", "Channel", "text"),
    Column("start", "From", "seconds"),
    Column("end", "To", "seconds"),
    Column("windows", "Windows", "count"),
    Column("score", "Highest score", "score"),
)


def _values(counts: Counts) -> tuple[Value, ...]:
    said = counts.by_outcome
    named = (said[SPOOF], said[UNCERTAIN], said[BONAFIDE], said[NO_SPEECH], said[ERROR])
    shares = (counts.spoof_share, counts.error_share, counts.seconds / 3600)
    return (counts.rows, *named, counts.partially_spoofed, *shares)


def _grouped(name: str, caption: str, first: Column, groups: Iterable[tuple[str, Counts]]) -> Table:
    return Table(name, caption, (first, *_COUNTS), [(title, *_values(counts)) for title, counts in groups])


def most_first(groups: Groups) -> list[tuple[str, Counts]]:
    """Groups with the most spoofs first, then those with the most rows."""
    order = sorted(groups.counts.items(), key=lambda each: (-each[1].by_outcome[SPOOF], -each[1].rows, str(each[0])))
    return [(str(name), counts) for name, counts in order]


def by_task(found: Gathered) -> Table:
    """All rows, voices and photos."""
    return _grouped("tasks", "Verdicts by task", Column("task", "Task", "text"), sorted(found.tasks.counts.items()))


def by_day(found: Gathered) -> Table:
    """Rows by the day on which the object was changed last."""
    return _grouped("days", "", Column("day", "Day", "text"), days(found))


def days(found: Gathered) -> list[tuple[str, Counts]]:
    """The days as ISO 8601, in order."""
    return sorted(((day_text(day), counts) for day, counts in found.days.counts.items()), key=lambda each: each[0])


def by_time(periods: Iterable[tuple[str, Counts]]) -> Table:
    """Rows by day, month or year, see `drawing.periods`."""
    return _grouped("days", "Verdicts by the object's last change, UTC", Column("day", "Time", "text"), periods)


def by_source(found: Gathered) -> Table:
    """Rows by the first folders of the key."""
    folders = "first folder" if found.source_depth == 1 else f"first {found.source_depth} folders"
    column = Column("source", "Source", "text")
    return _grouped("sources", f"Verdicts by source, the {folders} of the key", column, most_first(found.sources))


def by_codec(found: Gathered) -> Table:
    """Rows by the format of the file."""
    return _grouped("codecs", "Verdicts by codec", Column("codec", "Codec", "text"), most_first(found.codecs))


def remarks(found: Gathered) -> Table:
    """What weakens verdicts."""
    kinds = (
        ("condition", found.remarks.conditions),
        ("warning", found.remarks.warnings),
        ("reason", found.remarks.reasons),
    )
    rows = [(kind, text, *_values(counts)[:6]) for kind, groups in kinds for text, counts in most_first(groups)]
    columns = (Column("kind", "Kind", "text"), Column("remark", "Remark", "text"), *_COUNTS[:6])
    return Table("conditions", "Conditions, warnings, and reasons not to rely on a photo's verdict", columns, rows)


def errors(found: Gathered) -> Table:
    """What could not be judged."""
    columns = (
        Column("error_code", "Code", "code"),
        Column("rows", "Number", "count"),
        Column("example_key", "One of them", "text"),
        Column("example_message", "Its message", "text"),
    )
    failures = sorted(found.remarks.failures.items(), key=lambda each: (-each[1].rows, each[0]))
    return Table("errors", "Errors by code", columns, [(c, f.rows, f.key, f.message) for c, f in failures])


def models(found: Gathered) -> Table:
    """What judged."""
    columns = (
        *_MODEL,
        Column("demo", "Demonstration", "text"),
        Column("rows", "All", "count"),
        Column("scores", "Scores", "count"),
        Column("thresholds", "Thresholds", "text"),
    )
    rows: list[tuple[Value, ...]] = []
    for model, histogram in sorted(found.histograms.of_model.items()):
        thresholds = " ".join(f"{each:.6g}" for each in sorted(histogram.thresholds))
        named = (model.task, model.name, model.version, model.fingerprint, "yes" if model.demo else "no")
        rows.append((*named, histogram.rows, histogram.scores, thresholds))
    return Table("models", "Models", columns, rows)


def histograms(found: Gathered) -> list[Table]:
    """Of each model, in the order of `models`, how many scores lie where."""
    return [
        Table(
            "histogram",
            f"Scores of {model.name} {model.version}, {model.task}, {model.fingerprint[:12]}",
            _BINS,
            [(place / BINS, (place + 1) / BINS, count) for place, count in enumerate(histogram.bins)],
        )
        for model, histogram in sorted(found.histograms.of_model.items())
    ]


def _all_histograms(found: Gathered) -> Table:
    rows: list[tuple[Value, ...]] = []
    for model, table in zip(sorted(found.histograms.of_model), histograms(found), strict=True):
        rows += [(model.task, model.name, model.version, model.fingerprint, *row) for row in table.rows]
    return Table("histograms", "Scores by model", (*_MODEL, *_BINS), rows)


def suspicious(found: Gathered) -> Table:
    """The most suspicious recordings and photos."""
    columns = (
        Column("key", "Key", "text"),
        Column("task", "Task", "text"),
        Column("rank", "Suspicion", "score"),
        Column("score", "Score", "score"),
        Column("threshold", "Threshold", "score"),
        Column("label", "Label", "text"),
        Column("decision", "Decision", "text"),
        Column("partially_spoofed", "Partially spoofed", "text"),
        Column("llr", "LLR", "score"),
        Column("seconds", "Seconds", "seconds"),
        Column("codec", "Codec", "text"),
        Column("modified", "Modified", "text"),
        Column("conditions", "Conditions", "text"),
        Column("reason", "Reason", "text"),
        Column("model_name", "Model", "text"),
        Column("model_version", "Version", "text"),
    )
    return Table("suspicious", "The most suspicious", columns, [_suspicious(row) for row in found.suspicious])


def _suspicious(row: dict[str, Any]) -> tuple[Value, ...]:
    partially = "yes" if row["partially_spoofed"] else "no"
    said = (row["label"], row["decision"], partially, row["llr"], row["seconds"], row["codec"])
    rest = (row["modified"].isoformat(), " ".join(row["conditions"] or ()), row["reason"])
    return (
        *(row[name] for name in ("key", "task", "rank", "score", "threshold")),
        *said,
        *rest,
        row["model_name"],
        row["model_version"],
    )


def stretches_of(row: dict[str, Any]) -> Table:
    """The suspicious stretches of one recording."""
    rows: list[tuple[Value, ...]] = [(each["start"], each["end"], each["score"]) for each in row["suspicious"] or ()]
    return Table("stretches", "Suspicious stretches", _STRETCHES, rows)


def strip_of(found: Gathered, key: str) -> Table:
    """The cells of one recording's strips."""
    rows: list[tuple[Value, ...]] = []
    for channel, cells in found.strips.of(key).items():
        rows += [(channel, cell.start_s, cell.end_s, cell.windows, cell.score) for cell in cells]
    return Table("strips", "Windows", _STRIPS, rows)


def _of_all(found: Gathered, name: str, columns: tuple[Column, ...], tables: Iterable[Table]) -> Table:
    """One table of those of each of the most suspicious, with its key before each row."""
    rows: list[tuple[Value, ...]] = []
    for row, table in zip(found.suspicious, tables, strict=True):
        rows += [(row["key"], *values) for values in table.rows]
    return Table(name, "", (Column("key", "Key", "text"), *columns), rows)


def for_csv(found: Gathered) -> Iterator[Table]:
    """All tables, each of which becomes a file, empty ones too: an older file would be taken for a new one."""
    for table in (by_task, by_day, by_source, by_codec, models, _all_histograms, remarks, errors, suspicious):
        yield table(found)
    yield _of_all(found, "stretches", _STRETCHES, map(stretches_of, found.suspicious))
    yield _of_all(found, "strips", _STRIPS, (strip_of(found, row["key"]) for row in found.suspicious))

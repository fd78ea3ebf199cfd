"""The report as one HTML file: no script, nothing from another host, pictures as SVG, each with a table."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from scan.report import drawing, tables
from scan.report.counts import Counts, Groups
from scan.report.drawing import Picture
from scan.report.gathering import Gathered, Span
from scan.report.shown import clock, shown, text
from scan.report.tables import Table

MAX_ROWS = 100
"""Rows of a table in the HTML file; the CSV files have all."""


@dataclass(frozen=True)
class Suspect:
    """One of the most suspicious, drawn.

    Attributes:
        row: of the table of recordings.
        strips: pictures with the channel's name, empty where there is one channel.
        windows: the strips as a table.
        stretches: those that are shown.
        left_out: how many more there are.
    """

    row: dict[str, Any]
    strips: list[tuple[str, Picture]]
    windows: Table
    stretches: Table
    left_out: int


def rendered(found: Gathered, *, name: str, now: datetime | None = None) -> str:
    """The report.

    Args:
        found: its numbers.
        name: of the results, as the reader called them.
        now: when it is made; None: now.
    """
    environment = Environment(
        loader=PackageLoader("scan.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "text": text, "clock": clock}
    style, _, _ = environment.loader.get_source(environment, "report.css")  # type: ignore[union-attr]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    times = drawing.periods(tables.days(found))
    return environment.get_template("report.html").render(
        style=style,
        style_hash=digest,
        name=name,
        now=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        found=found,
        total=_total(found),
        spans={"changed": _span(found.modified), "scanned": _span(found.scanned)},
        demo=any(model.demo for model in found.histograms.of_model),
        width=drawing.WIDTH,
        max_rows=MAX_ROWS,
        tasks=tables.by_task(found),
        time_picture=drawing.time_bars(times),
        times=tables.by_time(times),
        untimed=_total(found).rows - sum(counts.rows for _, counts in times),
        groups=[
            (tables.by_source(found), _bars(found.sources)),
            (tables.by_codec(found), _bars(found.codecs)),
        ],
        models=tables.models(found),
        histograms=[
            (model, drawing.histogram_bars(histogram), table)
            for (model, histogram), table in zip(
                sorted(found.histograms.of_model.items()), tables.histograms(found), strict=True
            )
        ],
        suspects=[_suspect(found, row) for row in found.suspicious],
        errors=tables.errors(found),
        remarks=tables.remarks(found),
    )


def _total(found: Gathered) -> Counts:
    total = Counts()
    for counts in found.tasks.counts.values():
        total.add(counts)
    return total


def _span(span: Span) -> str:
    if span.first is None or span.last is None:
        return "never"
    first, last = (each.strftime("%Y-%m-%d") for each in (span.first, span.last))
    return first if first == last else f"{first} to {last}"


def _bars(groups: Groups) -> list[Picture]:
    return [drawing.share_bar(counts) for _, counts in tables.most_first(groups)[:MAX_ROWS]]


def _suspect(found: Gathered, row: dict[str, Any]) -> Suspect:
    strips = found.strips.of(row["key"])
    drawn = [
        ("" if len(strips) == 1 and not channel else f"channel {channel or 'all together'}", drawing.strip(cells, row))
        for channel, cells in strips.items()
    ]
    shown_ones = drawing.clearest(row)
    left_out = len(row["suspicious"] or ()) - len(shown_ones)
    windows = tables.strip_of(found, row["key"])
    return Suspect(row, drawn, windows, tables.stretches_of(row | {"suspicious": shown_ones}), left_out)

"""The geometry of the report's pictures: lists of rectangles and marks, which the template writes as SVG.

All in units of a view box `WIDTH` wide; colours are classes of the style sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scan.report.counts import Counts
from scan.report.histograms import BINS, Histogram
from scan.report.outcomes import OUTCOMES
from scan.report.shown import clock, shown
from scan.report.strips import Cell

WIDTH = 720
LEVELS = 5
"""Shades below the threshold, and as many at or above it."""
MAX_BARS = 100
MAX_STRETCHES = 100
"""Stretches of one recording that are shown."""
_WORDS = {"spoof": "spoof or fake", "uncertain": "uncertain", "bonafide": "bona fide or live", "no_speech": "no speech",
          "error": "errors"}  # fmt: skip


class Rect(NamedTuple):
    """A rectangle with the class of its colour and what a pointer on it shows."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


class Mark(NamedTuple):
    """A text below or above a picture, and the x at which it is anchored."""

    x: float
    text: str
    anchor: str


@dataclass
class Picture:
    """What is drawn.

    Attributes:
        height: of the view box.
        title: what it shows, in words, for those who do not see it.
        rects, marks: what it consists of.
        lines: x of vertical lines, and their texts.
    """

    height: int
    title: str
    rects: list[Rect] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    lines: list[Mark] = field(default_factory=list)


def share_bar(counts: Counts) -> Picture:
    """One bar with the share of each outcome."""
    picture = Picture(14, ", ".join(f"{_WORDS[each]} {counts.by_outcome[each]:,}" for each in OUTCOMES))
    x = 0.0
    for outcome in OUTCOMES:
        width = _rounded(WIDTH * counts.by_outcome[outcome] / max(counts.rows, 1))
        if width:
            count = counts.by_outcome[outcome]
            title = f"{_WORDS[outcome]}: {count:,} ({shown(count / counts.rows, 'share')})"
            picture.rects.append(Rect(_rounded(x), 0, width, 14, outcome, title))
        x += width
    return picture


def periods(days: Sequence[tuple[str, Counts]]) -> list[tuple[str, Counts]]:
    """Days, or months or years where there are more than `MAX_BARS`; of more years the last ones.

    Args:
        days: ISO 8601 days in order; anything else is left out.
    """
    dated = [(day, counts) for day, counts in days if day[:1].isdigit()]
    for length in (10, 7, 4):
        sums: dict[str, Counts] = {}
        for day, counts in dated:
            sums.setdefault(day[:length], Counts()).add(counts)
        if len(sums) <= MAX_BARS:
            break
    return list(sums.items())[-MAX_BARS:]


def time_bars(bars: Sequence[tuple[str, Counts]]) -> Picture:
    """A stack of outcomes for each day, month or year with recordings."""
    height = 150
    most = max((counts.rows for _, counts in bars), default=0)
    picture = Picture(height, f"Outcomes by time; the highest bar has {most:,} rows")
    step = WIDTH / max(len(bars), 1)
    width = _rounded(min(step * 0.86, 40.0))
    for place, (name, counts) in enumerate(bars):
        base = float(height)
        for outcome in reversed(OUTCOMES):
            tall = height * counts.by_outcome[outcome] / most
            if tall:
                base -= tall
                title = f"{name}, {_WORDS[outcome]}: {counts.by_outcome[outcome]:,} of {counts.rows:,}"
                picture.rects.append(
                    Rect(_rounded(place * step), _rounded(base), width, _rounded(tall), outcome, title)
                )
    if bars:
        picture.marks.append(Mark(0, bars[0][0], "start"))
    if len(bars) > 1:
        # Of few bars the last one's name would reach the first one's.
        anchor = "end" if len(bars) > 6 else "middle"
        picture.marks.append(Mark(_rounded((len(bars) - 1) * step + width), bars[-1][0], anchor))
    return picture


def histogram_bars(histogram: Histogram) -> Picture:
    """A model's scores, with a line at each threshold."""
    height, top = 130, 18
    most = max(histogram.bins)
    thresholds = sorted(histogram.thresholds)
    named = ", ".join(f"{each:.3g}" for each in thresholds) or "none"
    picture = Picture(height, f"{histogram.scores:,} scores between 0 and 1; thresholds: {named}")
    step = WIDTH / BINS
    for place, count in enumerate(histogram.bins):
        if count:
            # A bin of few scores among millions is still seen.
            tall = max((height - top) * count / most, 1.0)
            low, high = place / BINS, (place + 1) / BINS
            title = f"{low:.2f} to {high:.2f}: {count:,}"
            x, y, width = _rounded(place * step), _rounded(height - tall), _rounded(step - 1)
            picture.rects.append(Rect(x, y, width, _rounded(tall), _side(low, high, thresholds), title))
    for threshold in thresholds:
        anchor = "end" if threshold > 0.8 else "start"
        picture.lines.append(Mark(_rounded(threshold * WIDTH), f"threshold {threshold:.3g}", anchor))
    for tick in range(6):
        anchor = "start" if tick == 0 else "end" if tick == 5 else "middle"
        picture.marks.append(Mark(tick * WIDTH / 5, f"{tick / 5:.1f}", anchor))
    return picture


def _side(low: float, high: float, thresholds: Sequence[float]) -> str:
    """The class of a bin: of spoofs, of bona fide ones, or of both, by the lowest threshold."""
    if thresholds and low >= thresholds[0]:
        return "spoof"
    return "bonafide" if not thresholds or high <= thresholds[0] else "mixed"


def level(score: float | None, threshold: float) -> str:
    """The class of a score's colour: `below-0` to `below-4`, `above-0` to `above-4`, or `silent` without a score."""
    if score is None:
        return "silent"
    if score >= threshold:
        share = (score - threshold) / (1 - threshold) if threshold < 1 else 1.0
        return f"above-{min(int(share * LEVELS), LEVELS - 1)}"
    return f"below-{min(int(score / threshold * LEVELS), LEVELS - 1)}"


def strip(cells: Sequence[Cell], row: dict[str, Any]) -> Picture:
    """The windows of a recording, or of one of its channels, and below them its suspicious stretches.

    Args:
        cells: in order of time, at least one.
        row: of the table of recordings.
    """
    end = max(cells[-1].end_s, row["seconds"] or 0.0, 1e-3)
    threshold = 0.5 if row["threshold"] is None else row["threshold"]
    scores = [cell.score for cell in cells if cell.score is not None]
    highest = f"the highest score {max(scores):.3f}" if scores else "no score"
    picture = Picture(36, f"{len(cells)} cells from 0:00 to {clock(end)}, {highest}")
    scale = WIDTH / end
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        # Overlapping windows: each is drawn until the next one begins.
        until = min(cell.end_s, following.start_s) if following else cell.end_s
        said = "no speech" if cell.score is None else f"score {cell.score:.3f}"
        several = f", the highest of {cell.windows} windows" if cell.windows > 1 else ""
        title = f"{clock(cell.start_s)} to {clock(cell.end_s)}: {said}{several}"
        x, width = _rounded(cell.start_s * scale), _rounded(max((until - cell.start_s) * scale, 0.5))
        picture.rects.append(Rect(x, 0, width, 26, level(cell.score, threshold), title))
    for each in clearest(row):
        title = f"suspicious from {clock(each['start'])} to {clock(each['end'])}: score {each['score']:.3f}"
        x, width = _rounded(each["start"] * scale), _rounded(max((each["end"] - each["start"]) * scale, 1.5))
        picture.rects.append(Rect(x, 29, width, 6, "stretch", title))
    for tick in range(5):
        anchor = "start" if tick == 0 else "end" if tick == 4 else "middle"
        picture.marks.append(Mark(tick * WIDTH / 4, clock(round(end * tick / 4, 1)), anchor))
    return picture


def clearest(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The `MAX_STRETCHES` suspicious stretches of the highest scores, in order of time."""
    found = sorted(row["suspicious"] or (), key=lambda each: -each["score"])[:MAX_STRETCHES]
    return sorted(found, key=lambda each: each["start"])


def _rounded(number: float) -> float:
    return round(number, 2)

"""The geometry of the report's pictures."""

import itertools

import pytest

from scan.report.counts import Counts
from scan.report.drawing import (
    MAX_BARS,
    MAX_STRETCHES,
    WIDTH,
    histogram_bars,
    level,
    periods,
    share_bar,
    strip,
    time_bars,
)
from scan.report.histograms import BINS, Histogram
from scan.report.strips import Cell
from tests.scan.report.made import recording


def counts(**numbers: int) -> Counts:
    made = Counts()
    made.by_outcome.update(numbers)
    return made


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_the_side_of_a_threshold_decides_the_colour(threshold: float) -> None:
    levels = [level(score / 100, threshold) for score in range(101)]
    below, above = round(threshold * 100), 101 - round(threshold * 100)
    assert [each.split("-")[0] for each in levels] == ["below"] * below + ["above"] * above
    numbers = [list(group) for _, group in itertools.groupby(levels, key=lambda each: each[:5])]
    for group in numbers:
        assert group == sorted(group)
    assert level(1.0, threshold) == "above-4"
    assert level(None, threshold) == "silent"


def test_a_strip_covers_its_recording_and_marks_its_stretches() -> None:
    row = recording("a", seconds=10.0, suspicious=[{"start": 4.0, "end": 10.0, "score": 0.9}])
    drawn = strip([Cell(0, 4, 0.1), Cell(2, 6, 0.9), Cell(6, 10, None)], row)
    cells, marks = (
        [each for each in drawn.rects if each.kind != "stretch"],
        [e for e in drawn.rects if e.kind == "stretch"],
    )
    assert [(each.x, each.width) for each in cells] == [
        (0, WIDTH / 5),
        (WIDTH / 5, WIDTH * 0.4),
        (WIDTH * 0.6, WIDTH * 0.4),
    ]
    assert [(each.x, each.width) for each in marks] == [(WIDTH * 0.4, WIDTH * 0.6)]
    assert [each.text for each in drawn.marks] == ["0:00", "0:02.5", "0:05", "0:07.5", "0:10"]


def test_of_many_stretches_the_highest_are_drawn() -> None:
    stretches = [{"start": float(i), "end": i + 0.5, "score": i / 1000} for i in range(1000)]
    drawn = strip([Cell(0, 1000, 0.9)], recording("a", seconds=1000.0, suspicious=stretches))
    places = [each.x for each in drawn.rects if each.kind == "stretch"]
    assert len(places) == MAX_STRETCHES
    assert min(places) == WIDTH * (1000 - MAX_STRETCHES) / 1000


def test_many_days_become_months_and_many_months_years() -> None:
    days = [
        (f"{year}-{month:02}-{day:02}", counts(spoof=1))
        for year in range(2000, 2012)
        for month in range(1, 13)
        for day in (1, 9)
    ]
    assert periods(days[:50]) == days[:50]
    months = periods(days[:150])
    assert (months[0][0], months[0][1].by_outcome["spoof"], len(months)) == ("2000-01", 2, 75)
    years = periods([*days, ("(others)", counts(spoof=5))])
    assert [(name, each.by_outcome["spoof"]) for name, each in years] == [(str(year), 24) for year in range(2000, 2012)]
    assert len(periods([(f"{year:04}-01-01", counts(spoof=1)) for year in range(1, 2000)])) == MAX_BARS


def test_bars_fill_their_share() -> None:
    bar = share_bar(counts(spoof=1, bonafide=2, error=1))
    assert [(each.kind, each.width) for each in bar.rects] == [("spoof", 180), ("bonafide", 360), ("error", 180)]
    assert share_bar(Counts()).rects == []
    stacks = time_bars([("2024-01-01", counts(spoof=1, error=1)), ("2024-01-02", counts(spoof=4))])
    assert [(each.kind, each.y, each.height) for each in stacks.rects] == [
        ("error", 112.5, 37.5),
        ("spoof", 75, 37.5),
        ("spoof", 0, 150),
    ]
    assert time_bars([]).rects == []


def test_a_histogram_marks_each_threshold() -> None:
    histogram = Histogram()
    histogram.bins[0], histogram.bins[25], histogram.bins[BINS - 1] = 1_000_000, 5, 3
    histogram.thresholds.update({0.51: 3, 0.9: 1})
    drawn = histogram_bars(histogram)
    assert [each.kind for each in drawn.rects] == ["bonafide", "mixed", "spoof"]
    assert [each.height for each in drawn.rects] == [112, 1, 1]
    assert [(each.x, each.text) for each in drawn.lines] == [
        (WIDTH * 0.51, "threshold 0.51"),
        (WIDTH * 0.9, "threshold 0.9"),
    ]
    assert "thresholds: 0.51, 0.9" in drawn.title
    assert histogram_bars(Histogram()).rects == []

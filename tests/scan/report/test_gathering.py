"""The numbers of a report, against the same numbers counted row by row in Python."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scan.report import gathering, tables
from scan.report.counts import Groups
from scan.report.gathering import Gathered, gathered
from scan.report.histograms import BINS
from scan.result_storage import FolderStorage
from tests.scan.report.made import Row, failed, random_rows, recording, windows, written


def read(folder: Path, **options: int) -> Gathered:
    return gathered(FolderStorage(folder, 0.0), **{"top": 20, **options})


def outcome(row: Row) -> str:
    """As the report's words say it."""
    if row["error_code"]:
        return "error"
    if row["label"] == "no_speech":
        return "no_speech"
    said: str = row["decision"] or row["label"]
    return {"fake": "spoof", "live": "bonafide"}.get(said, said)


def rank(row: Row) -> float:
    stretches = row["suspicious"] if row["partially_spoofed"] else []
    highest: float = max([row["score"], *(each["score"] for each in stretches)])
    return highest


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return random_rows(500)


@pytest.fixture(scope="module", params=[7, 100_000])
def found(rows: list[Row], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Gathered:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "_BATCH", request.param)
        return read(written(tmp_path_factory.mktemp("scan"), rows, parts=3))


def test_counts_by_task_day_source_and_codec(rows: list[Row], found: Gathered) -> None:
    grouped: list[tuple[Groups, Callable[[Row], Any]]] = [
        (found.tasks, lambda row: row["task"]),
        (found.days, lambda row: row["modified"].date()),
        (found.sources, lambda row: row["key"].split("/")[0] if "/" in row["key"] else "(no folder)"),
        (found.codecs, lambda row: row["codec"] or "(not read)"),
    ]
    for groups, name in grouped:
        expected = Counter((name(row), outcome(row)) for row in rows)
        counted = {(n, o): c for n, counts in groups.counts.items() for o, c in counts.by_outcome.items() if c}
        assert counted == expected
        for value, counts in groups.counts.items():
            own = [row for row in rows if name(row) == value]
            assert counts.seconds == pytest.approx(sum(row["seconds"] or 0 for row in own))
            assert counts.partially_spoofed == sum(bool(row["partially_spoofed"]) for row in own)
            outcomes = [outcome(row) for row in own]
            assert counts.error_share == outcomes.count("error") / len(own)
            judged = [each for each in outcomes if each in ("spoof", "bonafide", "uncertain")]
            assert counts.spoof_share == (judged.count("spoof") / len(judged) if judged else None)


def test_sources_of_two_folders(rows: list[Row], tmp_path: Path) -> None:
    found = read(written(tmp_path, rows), source_depth=2)
    expected = Counter(
        "/".join(row["key"].split("/")[:2]) if row["key"].count("/") >= 2 else "(no folder)" for row in rows
    )
    assert {name: counts.rows for name, counts in found.sources.counts.items()} == expected


def test_histograms_by_model(rows: list[Row], found: Gathered) -> None:
    models = {row["model_fingerprint"] for row in rows}
    assert {model.fingerprint for model in found.histograms.of_model} == models
    for model, histogram in found.histograms.of_model.items():
        own = [row for row in rows if row["model_fingerprint"] == model.fingerprint and row["task"] == model.task]
        scores = [row["score"] for row in own if row["score"] is not None]
        bins = Counter(min(int(score * BINS), BINS - 1) for score in scores)
        assert dict(enumerate(histogram.bins)) == {place: bins[place] for place in range(BINS)}
        assert histogram.rows == len(own)
        assert histogram.thresholds == Counter(row["threshold"] for row in own if row["threshold"] is not None)


def test_the_most_suspicious(rows: list[Row], found: Gathered) -> None:
    scored = [row for row in rows if row["score"] is not None]
    expected = sorted(scored, key=lambda row: (-rank(row), row["key"]))[:20]
    assert [(row["key"], row["rank"]) for row in found.suspicious] == [(row["key"], rank(row)) for row in expected]


def test_remarks_and_errors(rows: list[Row], found: Gathered) -> None:
    for groups, column in ((found.remarks.conditions, "conditions"), (found.remarks.warnings, "warnings")):
        expected = Counter((text, outcome(row)) for row in rows for text in row[column] or ())
        assert expected == {(t, o): n for t, c in groups.counts.items() for o, n in c.by_outcome.items() if n}
    assert {text: counts.rows for text, counts in found.remarks.reasons.counts.items()} == Counter(
        row["reason"] for row in rows if row["reason"]
    )
    errors = Counter(row["error_code"] for row in rows if row["error_code"])
    assert {code: failure.rows for code, failure in found.remarks.failures.items()} == errors
    for code, failure in found.remarks.failures.items():
        assert (code, failure.message) in {
            (r["error_code"], r["error_message"]) for r in rows if r["key"] == failure.key
        }
    assert found.remarks.incomplete == sum(row["label"] == "no_speech" for row in rows)


def test_sums_and_spans(rows: list[Row], found: Gathered) -> None:
    assert found.size == sum(row["size"] for row in rows)
    times = [row["modified"] for row in rows]
    assert (found.modified.first, found.modified.last) == (min(times), max(times))


def test_windows_of_the_most_suspicious_only_each_channel_by_itself(tmp_path: Path) -> None:
    high, low = recording("a/high", score=0.9, label="spoof", windows=6), recording("a/low", score=0.1)
    made = [*windows(high, [0.9, None, 0.8], "0"), *windows(high, [0.1, 0.7, 0.2], "1"), *windows(low, [0.1, 0.1])]
    found = read(written(tmp_path, [low, high], list(reversed(made)), parts=2), top=1)
    strips = found.strips.of("a/high")
    assert [(cell.start_s, cell.end_s, cell.score) for cell in strips["0"]] == [(0, 4, 0.9), (4, 8, None), (8, 12, 0.8)]
    assert [cell.score for cell in strips["1"]] == [0.1, 0.7, 0.2]
    assert not found.strips.of("a/low")


def test_a_long_recording_has_a_bounded_strip_that_shows_its_highest_scores(tmp_path: Path) -> None:
    long = recording("long", score=0.4, windows=1000)
    scores = [0.1] * 1000
    scores[777] = 0.99
    (strip,) = read(written(tmp_path, [long], windows(long, scores))).strips.of("long").values()
    assert len(strip) == 167
    assert sum(cell.windows for cell in strip) == 1000
    assert (strip[0].start_s, strip[-1].end_s) == (0, 4000)
    assert [(cell.start_s, cell.score) for cell in strip if cell.score != 0.1] == [(774 * 4, 0.99)]


def test_a_strip_holds_the_windows_after_those_that_have_no_score(tmp_path: Path) -> None:
    row = recording("long", score=0.4, windows=360)
    made = windows(row, [0.1] * 360 + [0.99])
    del made[5]
    (strip,) = read(written(tmp_path, [row], made)).strips.of("long").values()
    assert len(strip) == 180
    assert sum(cell.windows for cell in strip) == 360
    assert (strip[-1].end_s, strip[-1].score) == (361 * 4, 0.99)


def test_only_scores_are_uncalibrated(tmp_path: Path) -> None:
    silent = recording("b", label="no_speech", score=None, calibrated=False)
    assert read(written(tmp_path, [recording("a", calibrated=False), silent, failed("c")])).uncalibrated == 1


def test_a_listed_key_that_is_not_there_has_no_time(tmp_path: Path) -> None:
    gone = failed("gone", "object_not_found", etag="", size=0, modified=datetime(1970, 1, 1, tzinfo=UTC))
    row = recording("a")
    found = read(written(tmp_path, [gone, row]))
    assert (found.modified.first, found.modified.last) == (row["modified"], row["modified"])
    assert [(day, counts.rows) for day, counts in tables.days(found)] == [("(not known)", 1), ("2024-03-01", 1)]


@pytest.mark.parametrize(
    ("key", "depth", "source"),
    [
        (r"./caf\xe9.wav", 1, "(no folder)"),
        (r"2024/./caf\xe9.wav", 1, "2024"),
        (r"2024/./caf\xe9.wav", 2, "(no folder)"),
        (r"2024/03/./caf\xe9.wav", 2, "2024/03"),
    ],
)
def test_a_key_of_a_name_that_is_not_utf_8_is_of_its_folder(key: str, depth: int, source: str, tmp_path: Path) -> None:
    assert list(read(written(tmp_path, [recording(key)]), source_depth=depth).sources.counts) == [source]


def test_more_sources_than_are_kept_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [recording(f"{number}/x", modified=recording("")["modified"]) for number in range(20)]
    monkeypatch.setattr("scan.report.counts.Groups.__init__.__defaults__", (5,))
    counts = read(written(tmp_path, rows)).sources.counts
    assert sum(each.rows for each in counts.values()) == 20
    assert len(counts) == 6
    assert counts["(others)"].rows == 15


def test_an_empty_result(tmp_path: Path) -> None:
    found = read(written(tmp_path, []))
    assert (found.tasks.counts, found.suspicious) == ({}, [])


def test_nothing_but_errors(tmp_path: Path) -> None:
    found = read(written(tmp_path, [failed("a", codec=None), failed("b")]))
    assert found.suspicious == []
    assert found.tasks.counts["voice"].error_share == 1

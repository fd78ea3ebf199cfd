"""Gaps in the time line: silence for what is missing, and bounds on what timestamps may claim."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.audio.timeline import LONGEST_GAP_S, TimeLine


def silences(timestamps: Iterable[float | None], frame_s: float = 0.02, line: TimeLine | None = None) -> list[float]:
    """The gap before each frame."""
    line = line or TimeLine()
    found = []
    for timestamp_s in timestamps:
        found.append(line.gap_before(timestamp_s, frame_s))
        line.passed(found[-1] + frame_s)
    return found


def regular(count: int, start_s: float = 0.0, step_s: float = 0.02) -> list[float]:
    return [start_s + index * step_s for index in range(count)]


def test_no_gap_no_silence() -> None:
    assert sum(silences(regular(500, start_s=1e6))) == 0
    assert sum(silences([round(at, 3) + 0.03 * (at > 4) for at in regular(500)])) == 0
    assert sum(silences([None] * 500)) == 0


def test_a_gap_is_filled_where_it_is() -> None:
    found = silences(regular(100) + regular(100, start_s=8.0))
    assert found[100] == pytest.approx(6.0)
    assert sum(found) == found[100]


def test_every_pause_of_discontinuous_transmission_is_filled() -> None:
    found = silences(regular(50, step_s=0.4))
    assert sum(found) == pytest.approx(49 * 0.38)


def test_single_lost_frames_add_up() -> None:
    kept = [at for index, at in enumerate(regular(5_000)) if index % 20]
    line = TimeLine()
    silences(kept, line=line)
    assert line.seconds == pytest.approx(100, abs=0.2)


def test_timestamps_of_another_clock_are_not_followed() -> None:
    assert sum(silences(regular(5_000, step_s=0.03))) == 0


def test_jitter_makes_no_silence() -> None:
    assert sum(silences([at + 0.08 * (index % 7 == 0) for index, at in enumerate(regular(5_000))])) == 0


def test_a_step_back_is_where_the_next_gap_counts_from() -> None:
    found = silences(regular(100) + regular(100) + regular(100, start_s=7.0))
    assert sum(found) == found[200] == pytest.approx(5.0)


def test_each_part_has_timestamps_of_its_own() -> None:
    line = TimeLine()
    silences(regular(100), line=line)
    line.begin_part()
    assert sum(silences(regular(100, start_s=900.0), line=line)) == 0


def test_a_gap_that_is_too_long_is_told() -> None:
    line = TimeLine()
    found = silences(regular(100) + regular(100, start_s=2 + LONGEST_GAP_S + 1), line=line)
    assert sum(found) == 0
    assert line.unfilled_s == pytest.approx(LONGEST_GAP_S + 1)
    assert sum(silences([2_000.0, 2_003.0], line=TimeLine())) == pytest.approx(2.98)


@given(st.lists(st.floats(-1e12, 1e12), max_size=300))
def test_no_timestamps_make_hours_of_silence(timestamps: list[float]) -> None:
    audio_s = 0.02 * len(timestamps)
    assert sum(silences(timestamps)) <= 600 + 4 * audio_s


def test_many_gaps_are_bounded_together() -> None:
    line = TimeLine()
    assert sum(silences(regular(1_000, step_s=30.0), line=line)) <= 600 + 4 * 20
    assert line.unfilled_s > 29_000

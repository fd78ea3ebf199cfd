"""The running verdict: the mean at first, then the last seconds; a label that does not flicker."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.live.running_verdict import MEMORY_S, RunningVerdict

WINDOWS = st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 4)), max_size=60)


def after(windows: list[tuple[float, float]], threshold: float = 0.5) -> RunningVerdict:
    running = RunningVerdict(threshold)
    for score, speech_s in windows:
        running.add(score, speech_s)
    return running


def test_there_is_no_verdict_before_speech() -> None:
    assert (after([]).p_spoof, after([]).label) == (None, "no_speech")


def test_the_first_score_counts_whole() -> None:
    running = after([(0.7, 0.3)])
    assert running.p_spoof == pytest.approx(0.7)
    assert running.label == "spoof"


def test_a_longer_window_weighs_more() -> None:
    assert after([(0.0, 1.0), (1.0, 3.0)]).p_spoof == pytest.approx(0.75, abs=0.12)


@given(WINDOWS, st.floats(0, 1))
def test_it_stays_among_the_scores(windows: list[tuple[float, float]], threshold: float) -> None:
    running = after(windows, threshold)
    if windows:
        scores = [score for score, _ in windows]
        assert running.p_spoof is not None
        assert min(scores) - 1e-9 <= running.p_spoof <= max(scores) + 1e-9


@given(WINDOWS, st.floats(0.05, 0.95))
def test_the_label_changes_only_on_the_far_side_of_the_threshold(
    windows: list[tuple[float, float]], threshold: float
) -> None:
    running = RunningVerdict(threshold)
    seen: list[tuple[str, float]] = []
    for score, speech_s in windows:
        running.add(score, speech_s)
        assert running.p_spoof is not None
        seen.append((running.label, running.p_spoof))
    for (before, _), (now, p_spoof) in pairwise(seen):
        if before != now:
            assert (p_spoof > threshold + 0.01) == (now == "spoof")


def test_scores_around_the_threshold_do_not_make_it_flicker() -> None:
    running = RunningVerdict(0.5)
    labels = set()
    for index in range(200):
        running.add(0.45 if index % 2 else 0.55, 2.0)
        labels.add(running.label)
    assert len(labels) == 1


def test_a_voice_that_changes_is_told_after_some_seconds_of_speech() -> None:
    running = after([(0.1, 1.0)] * 300)
    assert running.label == "bonafide"
    seconds = 0
    while running.label == "bonafide":
        running.add(0.9, 1.0)
        seconds += 1
    assert MEMORY_S / 2 < seconds < 2 * MEMORY_S


@pytest.mark.parametrize(("threshold", "label"), [(0.0, "spoof"), (1.0, "bonafide")])
def test_a_threshold_at_the_end_of_the_scale_holds(threshold: float, label: str) -> None:
    assert after([(0.0, 1.0), (0.99, 1.0), (0.0, 9.0)], threshold).label == label

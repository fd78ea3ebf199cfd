import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.verdict import (
    PhotoScore,
    SpeechCheck,
    SuspiciousStretch,
    WindowScore,
    WindowSpan,
    WindowVerdict,
    judge_window,
    label_of,
    overall_member_scores,
    overall_score,
    suspicious_stretches,
    why_no_score,
)


def window(start_s: float, end_s: float, score: float | None, weight: float) -> WindowVerdict:
    """The threshold at 0.5; None: no speech."""
    return WindowVerdict(0, start_s, end_s, end_s - start_s, score, label_of(score, 0.5), 1.0, weight)


def windows(*scores: float | None) -> list[WindowVerdict]:
    """Four seconds each."""
    return [window(4.0 * index, 4.0 * index + 4, score, 4.0) for index, score in enumerate(scores)]


def places(judged: list[WindowVerdict]) -> list[tuple[float, float]]:
    return [(stretch.start_s, stretch.end_s) for stretch in suspicious_stretches(judged)]


def test_windows_weigh_by_what_is_said_in_them_and_those_without_a_score_do_not() -> None:
    assert overall_score([window(0, 4, 0.9, 4.0), window(4, 8, 0.1, 1.0)]) == pytest.approx((0.9 * 4 + 0.1) / 5)
    assert overall_score([window(0, 4, None, 4.0), window(4, 8, 0.3, 0.5)]) == pytest.approx(0.3)


def test_without_a_judged_window_there_is_no_score() -> None:
    assert overall_score([]) is None
    assert overall_score(windows(None, None)) is None


@pytest.mark.parametrize(
    ("score", "label"), [(0.7, "spoof"), (0.70001, "spoof"), (0.69, "bonafide"), (0.0, "bonafide"), (None, "no_speech")]
)
def test_labels(score: float | None, label: str) -> None:
    assert label_of(score, 0.7) == label


def test_a_window_with_enough_speech_is_judged_and_weighs_its_seconds_of_speech() -> None:
    check = SpeechCheck(0.25)
    assert check.passes(0.25)
    assert not check.passes(0.249)
    assert check.weight(0.5, 4.0) == 2.0


def test_at_zero_everything_is_judged_and_weighs_its_seconds() -> None:
    check = SpeechCheck(0.0)
    assert check.passes(0.0)
    assert check.weight(0.0, 3.0) == check.weight(1.0, 3.0) == 3.0


@pytest.mark.parametrize(
    ("score", "speech_ratio", "expected"),
    [
        (0.8, 0.5, (0.8, "spoof", 0.5)),  # of two seconds, one was heard before
        (0.2, 1.0, (0.2, "bonafide", 1.0)),
        (0.8, 0.05, (None, "no_speech", 0.05)),
        (float("nan"), 0.05, (None, "no_speech", 0.05)),
    ],
)
def test_the_verdict_on_a_window(score: float, speech_ratio: float, expected: tuple[float | None, str, float]) -> None:
    span = WindowSpan(3, start_s=3.0, end_s=5.0, fresh_s=1.0)
    verdict = judge_window(span, score, speech_ratio, speech=SpeechCheck(0.1), threshold=0.5)
    assert verdict is not None
    assert (verdict.index, verdict.start_s, verdict.end_s, verdict.fresh_s) == (3, 3.0, 5.0, 1.0)
    assert (verdict.score, verdict.label, verdict.weight) == expected
    assert (verdict.speech_ratio, verdict.speech_s) == (speech_ratio, speech_ratio)


@pytest.mark.parametrize(
    ("score", "speech_ratio", "judged"), [(math.nan, 0.05, True), (math.nan, 0.5, False), (0.5, math.nan, False)]
)
def test_a_window_without_a_number_has_no_verdict_unless_nobody_speaks(
    score: float, speech_ratio: float, judged: bool
) -> None:
    verdict = judge_window(WindowSpan(0, 0.0, 4.0, 4.0), score, speech_ratio, speech=SpeechCheck(0.1), threshold=0.5)
    assert (verdict is not None) is judged
    assert verdict is None or (verdict.score, verdict.label) == (None, "no_speech")


@pytest.mark.parametrize("min_ratio", [0.0, 0.1])
@pytest.mark.parametrize(("seconds", "speech_ratio", "told"), [(0.06, 1.0, 1.0), (0.00002, math.nan, 0.0)])
def test_a_window_shorter_than_the_model_takes_is_none_that_it_failed_on(
    min_ratio: float, seconds: float, speech_ratio: float, told: float
) -> None:
    speech, span = SpeechCheck(min_ratio), WindowSpan(0, 0.0, seconds, seconds)
    verdict = judge_window(span, math.nan, speech_ratio, speech=speech, threshold=0.5, least_s=0.065)
    assert verdict is not None
    assert (verdict.score, verdict.label, verdict.speech_ratio) == (None, "no_speech", told)
    assert judge_window(span, math.nan, 1.0, speech=speech, threshold=0.5, least_s=seconds) is None


def test_why_there_is_no_score() -> None:
    silent = replace(window(0.0, 4.0, None, 0.0), speech_ratio=0.05)
    short = replace(window(0.0, 0.06, None, 0.06), speech_ratio=1.0)
    assert why_no_score([silent], SpeechCheck(0.1)) == "no speech was found"
    assert why_no_score([short], SpeechCheck(0.1)) == "too short to be judged"


def test_neighbours_labelled_spoof_are_a_stretch() -> None:
    assert suspicious_stretches(windows(0.1, 0.5, 0.75, 0.2, 1.0)) == (
        SuspiciousStretch(4.0, 12.0, 0.625),
        SuspiciousStretch(16.0, 20.0, 1.0),
    )
    assert suspicious_stretches(windows(0.1, None, 0.4)) == ()
    assert suspicious_stretches([]) == ()


def test_a_pause_within_a_stretch_belongs_to_it_and_one_at_its_ends_does_not() -> None:
    assert places(windows(None, 0.9, None, None, 0.9, None, None, 0.1)) == [(4.0, 20.0)]
    assert places(windows(0.9, None)) == [(0.0, 4.0)]
    assert places(windows(0.9, None, 0.1, None, 0.9)) == [(0.0, 4.0), (16.0, 20.0)]


def test_a_window_that_is_missing_ends_a_stretch() -> None:
    judged = windows(0.9, 0.9, 0.9, None, 0.9)
    assert places(judged[:1] + judged[2:]) == [(0.0, 4.0), (8.0, 20.0)]
    assert places(judged[:3] + judged[4:]) == [(0.0, 12.0), (16.0, 20.0)]


def test_windows_may_overlap() -> None:
    half = [window(0.5 * index, 0.5 * index + 1, 0.9, 0.5) for index in range(5)]
    assert places(half) == [(0.0, 3.0)]


def test_a_stretch_weighs_as_the_recording_does() -> None:
    (stretch,) = suspicious_stretches([window(0, 4, 0.6, 4.0), window(4, 8, 0.9, 1.0)])
    assert stretch.score == pytest.approx((4 * 0.6 + 0.9) / 5)


@given(st.lists(st.none() | st.floats(0, 1), max_size=30))
def test_stretches_hold_every_spoof_and_no_bona_fide_window(scores: list[float | None]) -> None:
    judged = windows(*scores)
    stretches = suspicious_stretches(judged)
    for each in judged:
        inside = sum(stretch.start_s <= each.start_s < stretch.end_s for stretch in stretches)
        assert inside == 1 if each.label == "spoof" else inside <= 1
        assert not (inside and each.label == "bonafide")
    assert all(stretch.score >= 0.5 - 1e-9 for stretch in stretches)
    assert all(one.end_s < two.start_s for one, two in pairwise(stretches))


def test_members_are_taken_together_as_the_scores_are() -> None:
    spoken = [window(0, 4, 0.9, 4.0), window(4, 8, None, 0.0), window(8, 12, 0.1, 1.0)]
    scores: list[dict[str, float]] = [{"a": 0.8, "b": 1.0}, {}, {"a": 0.3, "b": 0.0}]
    judged = [replace(each, member_scores=members) for each, members in zip(spoken, scores, strict=True)]
    assert overall_member_scores(judged) == pytest.approx({"a": (0.8 * 4 + 0.3) / 5, "b": 0.8})
    assert overall_member_scores(spoken) == overall_member_scores([]) == overall_member_scores(judged[1:2]) == {}


def test_a_window_without_speech_has_no_members_scores_either() -> None:
    span, members = WindowSpan(0, 0.0, 4.0, 4.0), {"a": 0.5}
    for ratio, expected in ((0.5, members), (0.05, {})):
        found = judge_window(span, 0.5, ratio, speech=SpeechCheck(0.1), threshold=0.5, members=members)
        assert found is not None
        assert found.member_scores == expected


def test_what_a_runner_sends_of_a_single_model_is_what_it_always_sent() -> None:
    assert WindowScore(0.5, 0.75).numbers == (0.5, 0.75)
    assert PhotoScore(0.5).numbers == 0.5
    for window_score in (WindowScore(0.5, 0.75), WindowScore(0.5, 0.75, (0.25, 1.0))):
        assert WindowScore.of(json.loads(json.dumps(window_score.numbers))) == window_score
    for photo in (PhotoScore(0.5), PhotoScore(0.5, (0.25, 1.0))):
        assert PhotoScore.of(json.loads(json.dumps(photo.numbers))) == photo

"""The summary of a session that was resumed, put together from its parts."""

from dataclasses import replace

import pytest

from bonafide_client import ModelIdentity, Stretch
from bonafide_client.live.results import JudgedWindow, LiveChannel, LiveLabel, LiveSummary


def window(second: int, score: float | None, speech_ratio: float = 0.5) -> JudgedWindow:
    label: LiveLabel = "no_speech" if score is None else "spoof" if score >= 0.5 else "bonafide"
    return JudgedWindow(second, float(second), second + 1.0, label, score, 0.0 if score is None else speech_ratio)


def summary(*windows: JudgedWindow) -> LiveSummary:
    """What the service tells of the last part alone."""
    return LiveSummary(
        label="no_speech",
        score=None,
        threshold=0.5,
        windows=windows,
        suspicious=(),
        audio_seconds=9.0,
        judged_seconds=0.0,
        speech_seconds=0.0,
        model=ModelIdentity("model", "v1", demo=True),
        calibrated=False,
        request_id="req-1",
    )


def test_a_pause_within_a_stretch_does_not_end_it_and_one_at_its_end_is_no_part_of_it() -> None:
    earlier = (window(0, 0.1), window(1, 0.9), window(2, None))
    whole = summary(window(3, 0.7), window(4, None), window(5, 0.2), window(6, 0.6)).after(earlier)
    assert whole.suspicious == (Stretch(1.0, 4.0, pytest.approx(0.8)), Stretch(6.0, 7.0, 0.6))  # type: ignore[arg-type]


def test_a_gap_in_time_ends_a_stretch_as_at_the_service() -> None:
    whole = summary(window(3, 0.7)).after((window(0, 0.9), window(1, 0.9)))
    assert [(stretch.start_s, stretch.end_s) for stretch in whole.suspicious] == [(0.0, 2.0), (3.0, 4.0)]


def test_windows_weigh_their_seconds_of_speech() -> None:
    whole = summary(window(2, 0.9, speech_ratio=0.2)).after((window(0, 0.1, speech_ratio=0.6), window(1, None)))
    assert whole.score == pytest.approx((0.6 * 0.1 + 0.2 * 0.9) / 0.8)
    assert (whole.label, whole.judged_seconds) == ("bonafide", 2.0)
    assert whole.speech_seconds == pytest.approx(0.8)


def test_where_no_speech_is_asked_for_windows_weigh_their_seconds() -> None:
    earlier = (window(0, 0.9, speech_ratio=0.0), window(1, 0.8, speech_ratio=0.0))
    whole = summary(window(2, 0.1, speech_ratio=0.2)).after(earlier)
    assert whole.label == "spoof"
    assert whole.score == pytest.approx(0.6)
    assert whole.suspicious == (Stretch(0.0, 2.0, pytest.approx(0.85)),)  # type: ignore[arg-type]
    assert whole.speech_seconds == pytest.approx(0.2)


def test_seconds_without_a_window_are_told() -> None:
    def unjudged(audio_seconds: float, *windows: JudgedWindow) -> float:
        return replace(summary(*windows), audio_seconds=audio_seconds).unjudged_seconds

    assert unjudged(3.0, window(0, 0.1), window(1, None), window(2, 0.1)) == 0.0
    assert unjudged(3.5, window(0, 0.1), window(2, 0.1)) == 1.5
    assert unjudged(2.0) == 2.0
    # A last window reaches back to be as long as the others.
    assert unjudged(2.3, window(0, 0.1), window(1, 0.1), replace(window(2, 0.1), start_s=1.3, end_s=2.3)) == 0.0


def test_seconds_of_any_channel_without_a_window_are_told() -> None:
    both = (window(0, 0.1), window(1, 0.1))
    channels = tuple(LiveChannel(number, "a", "bonafide", 0.1, both[number:], (), 2.0) for number in range(2))
    assert replace(summary(*both), audio_seconds=2.0, channels=channels).unjudged_seconds == 1.0


def test_without_speech_there_is_no_verdict() -> None:
    whole = summary().after((window(0, None),))
    assert (whole.score, whole.label, whole.suspicious) == (None, "no_speech", ())


def test_members_are_taken_together_as_the_scores_are() -> None:
    def heard(second: int, ratio: float, **members: float) -> JudgedWindow:
        return replace(window(second, 0.5, ratio), member_scores=members)

    whole = summary(heard(2, 0.2, a=1.0, b=0.5)).after((heard(0, 0.6, a=0.2, b=0.5), window(1, None)))
    assert whole.member_scores == pytest.approx({"a": (0.6 * 0.2 + 0.2) / 0.8, "b": 0.5})
    assert summary(heard(1, 0.5, a=0.1)).after((heard(0, 0.5, b=0.2),)).member_scores == {}, "another model answered"

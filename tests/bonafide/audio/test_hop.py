"""Overlapping windows of recordings: where they lie, what they hold, and how many there may be."""

from dataclasses import replace

import numpy as np
import pytest

from bonafide.audio.reader import AudioLimits, AudioReader, Window, checked_hop
from bonafide.errors import InvalidRequest, TooLarge
from tests.media import encode, speech_like, wav

LIMITS = AudioLimits(max_bytes=64 * 2**20, max_seconds=4 * 3_600, max_channels=16, max_sample_rate=192_000)


def windows(data: bytes, hop_s: float, before: int = 0, limits: AudioLimits = LIMITS) -> list[Window]:
    with AudioReader(data, limits, before=before, hop_s=hop_s) as reader:
        found = [window for batch in reader for window in batch]
    assert reader.seconds == pytest.approx(found[-1].end_s)
    return found


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100])
@pytest.mark.parametrize("hop_s", [0.5, 1.0, 2.0, 2.5, 1 / 1.5])
def test_windows_start_every_hop_and_those_of_both_are_the_same(rate: int, hop_s: float) -> None:
    data = encode(speech_like(14.3, rate, seed=3), rate)
    plain, close = windows(data, 4.0), windows(data, hop_s)
    assert [window.start_s for window in close[:-1]] == pytest.approx([k * hop_s for k in range(len(close) - 1)])
    assert all(window.end_s - window.start_s == pytest.approx(4.0) for window in close)
    assert sum(window.fresh_s for window in close) == pytest.approx(14.3, abs=1e-3)
    places = {round(window.start_s, 6): window for window in close}
    shared = [(window, places[round(window.start_s, 6)]) for window in plain if round(window.start_s, 6) in places]
    assert len(shared) >= 2
    for one, other in shared:
        np.testing.assert_array_equal(one.pcm, other.pcm)


def test_a_hop_that_is_no_whole_number_of_samples_does_not_drift() -> None:
    rate, seconds, step = 11_025, 60, 21  # half a second has 5,512.5 samples
    ramp = (np.arange(rate * seconds) // step).astype(np.int16)
    found = windows(wav(ramp, rate), 0.5)
    assert len(found) == 2 * (seconds - 4) + 1
    for window in found:
        assert window.pcm[8_000] == pytest.approx((window.start_s + 0.5) * rate / step, abs=1)


def test_without_a_hop_nothing_changes() -> None:
    data = encode(speech_like(11.0, 16_000, seed=1), 16_000)
    with AudioReader(data, LIMITS) as reader:
        usual = [window for batch in reader for window in batch]
    for one, other in zip(usual, windows(data, 4.0), strict=True):
        np.testing.assert_array_equal(one.pcm, other.pcm)
        assert (one.index, one.start_s, one.end_s, one.fresh_s) == (
            other.index,
            other.start_s,
            other.end_s,
            other.fresh_s,
        )


def test_what_lies_before_a_window_comes_with_it() -> None:
    data = encode(speech_like(9.0, 16_000, seed=2), 16_000)
    for plain, longer in zip(windows(data, 1.0), windows(data, 1.0, before=600), strict=True):
        np.testing.assert_array_equal(longer.pcm[-64_000:], plain.pcm)
    assert len(windows(data, 1.0, before=600)[3].pcm) == 64_600


def test_overlap_goes_on_where_the_sample_rate_changes() -> None:
    joined = encode(speech_like(9.0, 16_000, seed=4), 16_000) + encode(speech_like(9.0, 8_000, seed=5), 8_000)
    found = windows(joined, 1.0)
    assert [window.start_s for window in found] == pytest.approx(np.arange(15.0), abs=2e-3)
    assert sum(window.fresh_s for window in found) == pytest.approx(18.0, abs=2e-3)


def test_a_short_recording_is_one_window() -> None:
    (only,) = windows(encode(speech_like(2.0, 16_000), 16_000), 0.5)
    assert [only.start_s, only.end_s] == pytest.approx([0.0, 2.0])


def test_there_are_no_more_windows_than_of_the_longest_recording_without_overlap() -> None:
    limits = replace(LIMITS, max_seconds=40.0)
    data = encode(speech_like(20.0, 8_000), 8_000)
    assert len(windows(data, 2.0, limits=limits)) == 9
    with pytest.raises(TooLarge, match="more than 10 windows"):
        windows(data, 1.0, limits=limits)


@pytest.mark.parametrize("hop_s", [0.0, -1.0, 0.49, 4.01, float("nan"), float("inf")])
def test_a_wrong_hop_is_an_invalid_request(hop_s: float) -> None:
    with pytest.raises(InvalidRequest, match=r"hop_seconds must be 0\.5 to 4 seconds"):
        checked_hop(hop_s)


def test_no_hop_is_that_of_a_window() -> None:
    assert checked_hop(None) == 4.0

"""The session core: the same audio, however it is split, gives the same windows, and each sample is judged once."""

import math
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.levels import model_input
from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits, AudioReader
from bonafide.errors import InvalidRequest, TooLarge, UnreadableMedia
from bonafide.live.limits import MIN_SECONDS, LiveConfig, LiveLimits
from bonafide.live.session import Ending, LiveSession
from bonafide.live.windows import LiveWindow, LiveWindowVerdict
from bonafide.verdict import SpeechCheck, WindowSpan
from tests.media import wav

RATE = 8_000
LIMITS = LiveLimits(max_message_s=30.0, idle_s=60.0, max_session_s=3_600.0)
AUDIO_LIMITS = AudioLimits(max_bytes=10_000_000, max_seconds=1_000, max_channels=2, max_sample_rate=192_000)
CONFIGS = st.sampled_from([(1.0, 0.0), (0.5, 0.25), (1.0, 0.7), (0.3, 0.0), (4.0, 3.5)]).map(lambda c: LiveConfig(*c))


def ramp(count: int, first: int = 0) -> NDArray[np.float32]:
    """Samples that encode their position: the n-th is n / 2**20."""
    return (np.arange(first, first + count) / 2**20).astype(np.float32)


def session(config: LiveConfig | None = None, threshold: float = 0.5, before_s: float = 0.0) -> LiveSession:
    made = LiveSession(LIMITS, threshold, SpeechCheck(0.1), now=0.0, before_s=before_s)
    made.configure(config or LiveConfig())
    return made


def split(samples: NDArray[np.float32], cuts: list[int]) -> list[NDArray[np.float32]]:
    edges = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    return [samples[a:b] for a, b in pairwise(edges)]


def places(window: LiveWindow) -> set[int]:
    """Which samples of a ramp a window holds."""
    return set(np.rint(window.samples * 2**20).astype(int).tolist())


def judged(live: LiveSession, window: LiveWindow, score: float, speech_ratio: float) -> LiveWindowVerdict:
    verdict = live.judge(window.span, score, speech_ratio)
    assert verdict is not None
    return verdict


def judge_all(
    live: LiveSession, windows: list[LiveWindow], score: Callable[[LiveWindow], float]
) -> list[LiveWindowVerdict]:
    return [judged(live, window, score(window), 0.5) for window in windows]


@settings(max_examples=200)
@given(st.integers(0, 6 * RATE), st.lists(st.integers(0, 6 * RATE), max_size=12), CONFIGS)
def test_any_split_gives_the_same_windows_and_verdicts(count: int, cuts: list[int], config: LiveConfig) -> None:
    def run(parts: list[NDArray[np.float32]]) -> tuple[list[LiveWindow], list[LiveWindowVerdict]]:
        live = session(config)
        windows = [window for part in parts for window in live.feed(Block(part, RATE))] + live.flush()
        return windows, judge_all(live, windows, lambda window: float(window.samples.mean()))

    whole, split_up = run([ramp(count)]), run(split(ramp(count), cuts))
    assert whole[1] == split_up[1]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(whole[0], split_up[0], strict=True))


@given(
    st.lists(
        st.one_of(st.integers(0, RATE).map(lambda n: ("audio", n)), CONFIGS, st.just("flush")), min_size=1, max_size=15
    )
)
def test_nothing_is_lost_or_judged_twice(script: list[tuple[str, int] | LiveConfig | str]) -> None:
    live = session()
    fed = 0
    windows: list[LiveWindow] = []
    for step in script:
        if isinstance(step, LiveConfig):
            live.configure(step)
        elif isinstance(step, tuple):
            windows += live.feed(Block(ramp(step[1], fed), RATE))
            fed += step[1]
        else:
            windows += live.flush()
    windows += live.flush()

    assert [window.span.index for window in windows] == list(range(len(windows)))
    assert live.audio_s == pytest.approx(fed / RATE)
    held: set[int] = set()
    for window in windows:
        here = places(window)
        assert min(here) == pytest.approx(window.span.start_s * RATE, abs=0.01)
        assert max(here) + 1 == pytest.approx(window.span.end_s * RATE, abs=0.01)
        assert len(here) == len(window.samples)
        assert len(here - held) == pytest.approx(window.span.fresh_s * RATE, abs=0.01)
        held |= here
    rest = set(range(fed)) - held
    assert rest == set(range(fed - len(rest), fed))
    assert len(rest) == live.waiting_samples < MIN_SECONDS * RATE


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 10 * RATE),
    st.lists(st.integers(0, 10 * RATE), max_size=5),
    st.sampled_from([8_000, 16_000]),
    st.sampled_from([2.0**-15, 3e-7, 1.0, 100.0, 20_000.0]),
    st.sampled_from([0, 600, 32_000]),
)
def test_a_stream_has_the_windows_of_the_recording(
    count: int, cuts: list[int], rate: int, scale: float, before: int
) -> None:
    random = np.random.default_rng(count)
    samples = (random.uniform(-scale, scale, count) * random.choice([1.0, 0.01], count)).astype(np.float32)
    live = session(LiveConfig(chunk_s=4.0), before_s=before / 16_000)
    heard = [window for part in split(samples, cuts) for window in live.feed(Block(part, rate))] + live.finish()
    reader = AudioReader(wav(samples, rate), AUDIO_LIMITS, before=before)
    recorded = [window for batch in reader for window in batch]
    assert len(heard) == len(recorded)
    for (span, window, _, fresh), other in zip(heard, recorded, strict=True):
        made = model_input(window, rate)
        live.levels.add(made, span.fresh_s)
        live.conditions[None].add(window[-fresh:], rate, made)
        assert np.array_equal(made.pcm, other.pcm)
        assert (span.index, span.start_s, span.end_s, span.fresh_s) == pytest.approx(
            (other.index, other.start_s, other.end_s, other.fresh_s)
        )
    assert live.levels.sentences() == reader.warnings
    assert live.conditions_of(None) == reader.conditions


def test_a_message_of_two_rates_has_one_limit() -> None:
    live = session()
    live.check([Block(ramp(20 * RATE), RATE), Block(ramp(20 * RATE), 2 * RATE)])
    with pytest.raises(TooLarge, match="more than 30 s"):
        live.check([Block(ramp(20 * RATE), RATE), Block(ramp(20 * RATE + 1), 2 * RATE)])


def test_the_last_window_reaches_back_and_no_rest_stays() -> None:
    live = session()
    assert len(live.feed(Block(ramp(2 * RATE + 100), RATE))) == 2
    assert live.flush() == []  # under a quarter of a second, more may come
    (last,) = live.finish()
    assert (last.span.start_s, last.span.end_s) == pytest.approx((1 + 100 / RATE, 2 + 100 / RATE))
    assert last.span.fresh_s == pytest.approx(100 / RATE)
    assert len(last.samples) == RATE
    assert live.waiting_samples == 0


def test_another_rate_or_length_leaves_the_history() -> None:
    live = session()
    live.feed(Block(ramp(RATE), RATE))
    live.configure(LiveConfig(chunk_s=2.0))
    live.feed(Block(np.zeros(8_000, np.float32), 16_000))
    (last,) = live.finish()
    assert (last.span.start_s, last.span.end_s, last.span.fresh_s) == pytest.approx((0.0, 1.5, 0.5))


def test_a_session_without_overlap_holds_each_sample_once() -> None:
    live = session()
    windows = live.feed(Block(ramp(3 * RATE), RATE))
    assert [window.span.fresh_s for window in windows] == [1.0, 1.0, 1.0]
    assert sum(len(places(window)) for window in windows) == 3 * RATE == len(set.union(*map(places, windows)))


def test_another_rate_carries_on_with_what_waits() -> None:
    live = session()
    tone = np.sin(2 * np.pi * 200 * np.arange(48_000) / 48_000).astype(np.float32)
    assert live.feed(Block(tone[:24_000], 48_000)) == []
    (window,) = live.feed(Block(np.sin(2 * np.pi * 200 * (np.arange(8_000) / 16_000 + 0.5)).astype(np.float32), 16_000))
    assert (window.rate, window.span.start_s, window.span.end_s) == (16_000, 0.0, 1.0)
    expected = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
    assert window.samples[100:15_900] == pytest.approx(expected[100:15_900], abs=0.2)
    assert live.audio_s == 1.0


def test_a_rate_that_keeps_changing_is_refused_and_harms_nothing() -> None:
    live = session()
    for index in range(17):
        live.feed(Block(ramp(80), 8_000 if index % 2 else 16_000))
    with pytest.raises(InvalidRequest, match="again and again"):
        live.feed(Block(ramp(80), 8_000))
    heard = live.audio_s
    live.feed(Block(ramp(80), live.rate))
    assert live.audio_s > heard


@pytest.mark.parametrize("rate", [0, -1, 7_999, 192_001, 10**12])
def test_impossible_rates(rate: int) -> None:
    with pytest.raises(InvalidRequest, match="sample_rate"):
        session().feed(Block(ramp(10), rate))


@pytest.mark.parametrize("value", [np.nan, np.inf, 5e9])
def test_samples_that_are_no_audio_are_refused_and_not_kept(value: float) -> None:
    live = session()
    live.feed(Block(ramp(100), RATE))
    with pytest.raises(UnreadableMedia):
        live.feed(Block(np.array([0.1, value], dtype=np.float32), RATE))
    assert live.waiting_samples == 100


def test_too_much_in_one_message() -> None:
    with pytest.raises(TooLarge):
        session().feed(Block(ramp(30 * RATE + 1), RATE))


def test_windows_without_speech_have_no_score_and_do_not_count() -> None:
    live = session()
    first, second, third = live.feed(Block(ramp(3 * RATE), RATE))
    assert judged(live, first, 0.99, 0.0).score is None
    verdict = judged(live, second, 0.2, 0.5)
    assert (verdict.label, verdict.running_label) == ("bonafide", "bonafide")
    assert verdict.running_score == pytest.approx(0.2)
    verdict = judged(live, third, 0.99, 0.0)
    assert verdict.label == "no_speech"
    assert verdict.running_score == pytest.approx(0.2)
    assert [verdict.index for verdict in live.verdicts] == [0, 1, 2]


def test_a_window_without_a_score_counts_only_where_nobody_speaks() -> None:
    live = session()
    first, second = live.feed(Block(ramp(2 * RATE), RATE))
    assert live.judge(first.span, math.nan, 0.5) is None
    assert judged(live, second, math.nan, 0.0).label == "no_speech"
    assert [verdict.index for verdict in live.verdicts] == [1]


def test_a_score_at_the_threshold_is_spoof() -> None:
    live = session(threshold=0.3)
    (window,) = live.feed(Block(ramp(RATE), RATE))
    assert judged(live, window, 0.3, 1.0).label == "spoof"


def test_when_a_session_is_over() -> None:
    live = session()
    assert (live.due_at, live.overdue(59.9), live.overdue(60.0)) == (60.0, None, Ending.IDLE)
    for now in range(0, 3_600, 50):
        live.message_taken(now)
        assert live.overdue(now) is None
    assert (live.due_at, live.overdue(3_600.0)) == (3_600.0, Ending.SESSION_LIMIT)


def test_more_audio_than_a_session_may_hold_ends_it_too() -> None:
    live = LiveSession(LiveLimits(30.0, 60.0, 10.0), 0.5, SpeechCheck(0.1), now=0.0)
    live.feed(Block(ramp(RATE * 10), RATE))
    assert live.overdue(0.0) is None
    live.feed(Block(ramp(1), RATE))
    assert live.overdue(0.0) is Ending.SESSION_LIMIT


def test_the_work_of_a_check_grows_with_the_blocks() -> None:
    # It runs in the event loop, and a message of a container may hold as many packets as it has bytes.
    live, blocks = session(), [Block(ramp(1), RATE)] * 5_000
    began = time.thread_time()
    live.check(blocks)
    assert time.thread_time() - began < 1.0
    with pytest.raises(TooLarge):
        live.check([Block(ramp(30 * RATE), RATE), *blocks])


def test_the_sums_of_a_long_session_cost_no_more_than_those_of_a_short_one() -> None:
    live = session()
    for index in range(5_000):
        ratio = index % 3 / 2
        live.judge(WindowSpan(index, index / 4, index / 4 + 1.0, fresh_s=0.25), 0.5, ratio)
    assert live.judged_s == pytest.approx(sum(each.fresh_s for each in live.verdicts if each.score is not None))
    assert live.speech_s == pytest.approx(sum(each.speech_s for each in live.verdicts))
    began = time.thread_time()
    for _ in range(1_000):  # a client may ask as often in a second
        _ = live.judged_s, live.speech_s
    assert time.thread_time() - began < 0.5

"""A session of several channels: each has the windows and verdicts of a session of it alone, and the worst stands."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.levels import model_input
from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits, AudioReader
from bonafide.channels import ChannelVerdict, windows_of
from bonafide.errors import InvalidRequest, TooLarge
from bonafide.live.interleaved import Interleaved
from bonafide.live.limits import LiveConfig, LiveLimits
from bonafide.live.session import Ending, LiveSession
from bonafide.live.summary import LiveSummary, running_summary, summary_of
from bonafide.live.windows import LiveWindow, LiveWindowVerdict
from bonafide.verdict import SpeechCheck
from tests.bonafide.fakes import MODEL
from tests.bonafide.live.test_session import CONFIGS
from tests.media import speech_like, wav

RATE = 8_000
LIMITS = AudioLimits(max_bytes=10_000_000, max_seconds=1_000, max_channels=16, max_sample_rate=192_000)
SEPARATE = ChannelMode("separate")
Sound = NDArray[np.float32]


def parties(seconds: float, rate: int = RATE) -> Sound:
    """Two voices that have nothing in common, (2, n) of int16 as float32."""
    sounds = [np.roll(speech_like(seconds, rate, seed=seed)[0], seed * 4_001) for seed in (1, 2)]
    made: Sound = (np.rint(np.stack(sounds) * 20_000) / 32_768).astype(np.float32)
    return made


def session(mode: ChannelMode = SEPARATE, config: LiveConfig | None = None, most_s: float = 3_600.0) -> LiveSession:
    made = LiveSession(LiveLimits(30.0, 60.0, most_s), 0.5, SpeechCheck(0.1), now=0.0)
    made.choose(mode)
    made.configure(config or LiveConfig())
    return made


def interleaved(sound: Sound, cuts: Sequence[int], rate: int = RATE) -> list[Block]:
    """What comes of interleaved samples that arrive in parts of so many."""
    mixer = Interleaved(len(sound), rate)
    edges = [0, *sorted(min(cut, sound.shape[1]) for cut in cuts), sound.shape[1]]
    return [*(mixer.feed(sound[:, a:b].T.reshape(-1)) for a, b in pairwise(edges)), mixer.finish()]


def heard(live: LiveSession, blocks: Sequence[Block]) -> list[LiveWindow]:
    return [window for block in blocks for window in live.feed(block)] + live.finish()


def of(channel: int | None, windows: Sequence[LiveWindow]) -> list[tuple[int, float, float, float, bytes]]:
    return [
        (each.span.index, each.span.start_s, each.span.end_s, each.span.fresh_s, each.samples.tobytes())
        for each in windows
        if each.span.channel == channel
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9 * RATE), max_size=8), CONFIGS, CONFIGS, st.booleans())
def test_each_channel_has_the_windows_of_a_session_of_it_alone(
    cuts: list[int], first: LiveConfig, then: LiveConfig, flushed: bool
) -> None:
    sound = parties(9.0)

    def run(live: LiveSession, blocks: Sequence[Block]) -> list[LiveWindow]:
        half = len(blocks) // 2
        windows = [window for block in blocks[:half] for window in live.feed(block)]
        windows += live.flush() if flushed else []
        live.configure(then)
        return windows + heard(live, blocks[half:])

    blocks = interleaved(sound, cuts)
    both = run(session(config=first), blocks)
    for channel in (0, 1):
        assert all(block.apart is not None for block in blocks)
        alone = [Block(block.apart[channel], RATE) for block in blocks if block.apart is not None]
        assert of(channel, both) == of(None, run(session(config=first), alone))
    assert of(None, both) == []


@pytest.mark.parametrize("mode", ["auto", "separate", "mix", "0", "1"])
@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_a_stream_has_the_windows_of_the_recording(mode: str, alike: bool, rate: int) -> None:
    sound = parties(13.0, rate)
    sound[1, : 6 * rate] = -sound[0, : 6 * rate]  # the channels part within the second window
    if alike:
        sound[1] = -sound[0]
    choice = ChannelMode.parse(mode)
    live = session(choice, LiveConfig(chunk_s=4.0))
    pcm = np.rint(sound * 32_768).astype(np.int16).T
    reader = AudioReader(wav(pcm, rate), LIMITS, mode=choice)
    recorded = [(each.index, each.channel, each.pcm.tobytes()) for step in reader for each in step]
    found = []
    for window in heard(live, interleaved(sound, range(0, sound.shape[1], 3_001), rate)):
        made = model_input(window.samples, window.rate)
        live.conditions[window.span.channel].add(window.samples[-window.fresh :], window.rate, made)
        found.append((window.span.index, window.span.channel, made.pcm.tobytes()))
    assert found == recorded
    assert live.conditions_of(None) == reader.conditions
    assert {each: live.conditions_of(each) for each in reader.channel_conditions} == reader.channel_conditions
    if mode == "auto":
        assert {channel for _, channel, _ in found} == ({None} if alike else {None, 0, 1})


def judged(live: LiveSession, windows: Sequence[LiveWindow], scores: dict[int | None, float]) -> None:
    for window in windows:
        assert live.judge(window.span, scores[window.span.channel], 1.0) is not None


def test_the_worst_channel_stands_for_all() -> None:
    live = session()
    windows = heard(live, interleaved(parties(3.0), []))
    judged(live, windows, {0: 0.9, 1: 0.2})
    summary = summary_of(live, Ending.END, MODEL, names=("agent", "caller"))
    assert (summary.channel, summary.label) == ("agent", "spoof")
    assert summary.score == pytest.approx(0.9)
    assert [(each.name, each.label) for each in summary.channels] == [("agent", "spoof"), ("caller", "bonafide")]
    assert (summary.audio_s, summary.judged_s, summary.speech_s) == (3.0, 3.0, 3.0)
    assert [each.index for each in summary.windows] == [0, 1, 2]
    assert len(live.verdicts) == 6
    assert (live.running_of(1).label, live.running.label, live.worst_now) == ("bonafide", "spoof", 0)


def test_a_channel_that_is_labelled_spoof_stands_before_one_with_a_higher_score_that_is_not_yet() -> None:
    live = session()
    blocks = interleaved(parties(20.0), [2 * RATE])
    judged(live, live.feed(blocks[0]), {0: 0.7, 1: 0.1})
    judged(live, live.feed(blocks[1])[:8], {0: 0.45, 1: 0.51})  # within the hysteresis of both labels
    assert (live.running_of(0).label, live.running_of(1).label) == ("spoof", "bonafide")
    live.running_of(1).p_spoof = 0.55
    assert live.worst_now == 0
    summary = running_summary(live, MODEL)
    assert (summary.channel, summary.label, summary.score) == ("0", "spoof", live.running_of(0).p_spoof)
    assert [each.label for each in summary.channels] == ["spoof", "bonafide"]


class Uncounted(list[LiveWindowVerdict]):
    """Windows that may be added, and not be looked at."""

    def __iter__(self) -> Iterator[LiveWindowVerdict]:
        raise AssertionError("all windows are counted again")


@pytest.mark.parametrize("mode", [ChannelMode(), ChannelMode("mix")])
def test_a_long_session_is_not_counted_again_with_each_window(mode: ChannelMode) -> None:
    live = session(mode)
    live.verdicts = Uncounted()
    sound = parties(12.0)
    sound[1, : 4 * RATE] = sound[0, : 4 * RATE]
    windows = heard(live, interleaved(sound, []))
    judged(live, windows, {None: 0.8, 0: 0.7, 1: 0.2})
    so_far = running_summary(live, MODEL)
    live.verdicts = live.verdicts.copy()  # a plain list
    whole = summary_of(live, Ending.END, MODEL)
    assert (so_far.windows, bool(so_far.channels)) == ((), mode == ChannelMode())

    def told(summary: LiveSummary) -> list[LiveSummary | ChannelVerdict]:
        return [summary, *summary.channels]

    for mine, theirs in zip(told(so_far), told(whole), strict=True):
        assert mine.suspicious == theirs.suspicious
        assert mine.member_scores == theirs.member_scores
        assert mine.answer.conditions == theirs.answer.conditions
    assert [each.speech_seconds for each in so_far.channels] == [each.speech_seconds for each in whole.channels]
    assert (so_far.channel, so_far.judged_s, so_far.speech_s) == (whole.channel, whole.judged_s, whole.speech_s)
    with_windows = running_summary(live, MODEL, with_windows=True)
    assert with_windows.windows == whole.windows
    assert [each.windows for each in with_windows.channels] == [each.windows for each in whole.channels]


def test_what_was_said_before_the_channels_parted_counts_for_each() -> None:
    live = session(ChannelMode())
    sound = parties(8.0)
    sound[1, : 4 * RATE] = sound[0, : 4 * RATE]
    windows = heard(live, interleaved(sound, []))
    judged(live, windows, {None: 0.8, 0: 0.1, 1: 0.2})
    together = [each.span.index for each in windows if each.span.channel is None]
    assert together == list(range(len(together)))
    assert len(together) >= 4
    for channel in (0, 1):
        assert live.running_of(channel).p_spoof == pytest.approx(0.3, abs=0.2)
    summary = summary_of(live, Ending.END, MODEL)
    assert [each.index for each in summary.windows] == list(range(8))
    assert [each.channel for each in summary.windows[: len(together)]] == [None] * len(together)


def test_one_voice_on_both_channels_has_no_channels() -> None:
    live = session(ChannelMode())
    sound = parties(4.0)
    sound[1] = -sound[0]
    windows = heard(live, interleaved(sound, []))
    judged(live, windows, {None: 0.8})
    summary = summary_of(live, Ending.END, MODEL)
    assert (summary.channel, summary.channels, live.channels, len(windows)) == ("", (), (), 4)


def test_audio_of_one_channel_later_is_heard_in_each() -> None:
    live = session()
    sound = parties(2.0)
    windows = live.feed(interleaved(sound, [])[0]) + live.feed(Block(sound[0], RATE))
    assert [(each.span.index, each.span.channel) for each in windows] == [(n, c) for n in range(4) for c in (0, 1)]
    assert windows[-1].samples.tobytes() == windows[-2].samples.tobytes() == sound[0, RATE:].tobytes()


def test_the_limit_of_a_session_counts_all_channels() -> None:
    blocks = interleaved(parties(6.0), [RATE * second for second in range(1, 6)])
    for mode, most_s in (("mix", 5.5), ("1", 5.5), ("separate", 11.5), ("auto", 10.0)):
        live = session(ChannelMode.parse(mode), most_s=most_s)
        for block in blocks[:5]:
            live.feed(block)
        assert live.overdue(0.0) is None, mode
        live.feed(blocks[5])
        assert live.overdue(0.0) is Ending.SESSION_LIMIT, mode


@pytest.mark.parametrize(
    ("mode", "channels", "error"), [("2", 2, InvalidRequest), ("1", 1, InvalidRequest), ("separate", 9, TooLarge)]
)
def test_what_cannot_be_judged_is_refused_and_not_kept(mode: str, channels: int, error: type[Exception]) -> None:
    live = session(ChannelMode.parse(mode))
    sound = np.zeros((channels, 800), np.float32)
    with pytest.raises(error):
        live.feed(Block(sound[0], RATE, channels, sound if channels > 1 else None))
    assert live.audio_s == 0


def test_the_sums_so_far_are_those_of_the_channel_that_stands_for_all() -> None:
    live, sound = session(ChannelMode()), parties(8.0)
    sound[1, : 4 * RATE] = sound[0, : 4 * RATE]
    windows = heard(live, interleaved(sound, []))
    assert {window.span.channel for window in windows} == {None, 0, 1}
    for window in windows:
        judged(live, [window], {None: 0.8, 0: 0.1, 1: 0.9})
        counted = windows_of(live.verdicts, live.worst_now)
        assert live.judged_s == pytest.approx(sum(each.fresh_s for each in counted))
        assert live.speech_s == pytest.approx(sum(each.speech_s for each in counted))

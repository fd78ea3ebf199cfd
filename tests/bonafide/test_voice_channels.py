"""Both channels of a call are judged, and the worse one stands for all; one voice on both stays one."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.reader import AudioLimits, AudioReader
from bonafide.calls import Call
from bonafide.errors import InvalidRequest, TooLarge
from bonafide.voice_report import AudioReport, report_of
from tests.bonafide.test_voice import LIMITS, Service, service
from tests.media import speech_like, wav

RATE = 16_000
Pcm = NDArray[np.int16]


def party(seconds: float, seed: int, active: float = 1.0) -> Pcm:
    """A voice of its own, of which a share is not silent; that share is its score."""
    sound = np.random.default_rng(seed).integers(1, 9_000, round(seconds * RATE)).astype(np.int16)
    place = np.arange(len(sound)) % 4_000
    sound[place >= 4_000 * active] = 0
    return sound


def call(seconds: float = 10.0) -> Pcm:
    """An agent whose windows score 1/4, a caller whose windows score 3/4."""
    return np.stack([party(seconds, 1, 0.25), party(seconds, 2, 0.75)], axis=1)


async def judged(running: Service, samples: Pcm, mode: str = "auto", hop_s: float | None = None) -> AudioReport:
    return await judged_bytes(running, wav(samples, RATE), mode, hop_s)


async def judged_bytes(running: Service, data: bytes, mode: str, hop_s: float | None = None) -> AudioReport:
    events = running.voice.analyze_bytes(data, Call.within(30), hop_s=hop_s, mode=ChannelMode.parse(mode))
    return await report_of(events)


def windows(samples: Pcm, mode: str, rate: int = RATE, hop_s: float = 4.0) -> list[tuple[int, int | None, bytes]]:
    with AudioReader(wav(samples, rate), LIMITS, hop_s=hop_s, mode=ChannelMode.parse(mode)) as reader:
        return [(each.index, each.channel, each.pcm.tobytes()) for group in reader for each in group]


@pytest.mark.parametrize("mode", ["auto", "separate", "0", "1"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("hop_s", [4.0, 1.7])
def test_a_channels_windows_are_those_of_its_mono_file(mode: str, rate: int, hop_s: float) -> None:
    found = windows(call(), mode, rate, hop_s)
    for channel in [int(mode)] if mode.isdigit() else [0, 1]:
        mono = [(index, pcm) for index, _, pcm in windows(call()[:, channel], "mix", rate, hop_s)]
        assert [(index, pcm) for index, number, pcm in found if number == channel] == mono


def test_one_voice_on_both_channels_is_judged_as_before() -> None:
    voice = np.rint(speech_like(10.0, RATE)[0] * 20_000).astype(np.int16)
    for other in (voice, -voice, voice // 3):
        stereo = np.stack([voice, other], axis=1)
        assert windows(stereo, "auto") == windows(stereo, "mix")


async def test_the_worse_channel_stands_for_all(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        report = await judged(running, call())
        assert [each.label for each in report.channels] == ["bonafide", "spoof"]
        assert [each.score for each in report.channels] == pytest.approx([0.25, 0.75], abs=0.01)
        assert (report.channel, report.label, report.score) == ("1", "spoof", report.channels[1].score)
        assert [chunk.channel for chunk in report.chunks] == [1, 1, 1]
        alone = [await judged(running, call()[:, channel]) for channel in (0, 1)]
        assert [each.score for each in alone] == [each.score for each in report.channels]


async def test_channels_and_their_mix_are_cached_apart_and_shared_between_named_ones(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        first = await judged(running, call())
        scored = running.observer.scored
        assert await judged(running, call()) == first
        assert running.observer.scored == scored
        assert (await judged(running, call(), "separate")).channels == first.channels
        scored = running.observer.scored
        assert (await judged(running, call(), "1")).score == first.channels[1].score
        assert running.observer.scored == scored
        mixed = await judged(running, call(), "mix")
        assert mixed.channels == ()
        assert mixed.score not in [each.score for each in first.channels]


@pytest.mark.parametrize("first", [2, 3])
async def test_what_was_asked_before_changes_no_verdict(tmp_path: Path, first: int) -> None:
    """Of a call that goes on as a conference, or begins as one: `auto` mixes three channels, `separate` does not."""
    conference = np.concatenate([call(7.0), party(7.0, 3, 0.5)[:, np.newaxis]], axis=1)
    parts = [wav(each, RATE) for each in (call(7.0), conference)]
    data = b"".join(parts if first == 2 else reversed(parts))
    modes = ["auto", "separate", "0", "1", "mix"]
    alone: dict[str, AudioReport] = {}
    for mode in modes:
        async with service(tmp_path / mode) as running:
            alone[mode] = await judged_bytes(running, data, mode)
    assert alone["auto"].channels != alone["separate"].channels[:2]
    for order in (modes, modes[::-1]):
        async with service(tmp_path / order[0] / "warm") as running:
            assert {mode: await judged_bytes(running, data, mode) for mode in order} == alone


async def test_overlapping_windows_of_channels_lie_where_those_of_a_mono_file_do(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        report = await judged(running, call(), hop_s=2.0)
        alone = await judged(running, call()[:, 1], hop_s=2.0)
        again = await judged(running, call(), hop_s=2.0)  # of which every score is in the cache
    assert (report.channel, report.hop_seconds, report.score) == ("1", 2.0, alone.score)
    spans = [(each.index, each.start_s, each.end_s, each.fresh_s) for each in alone.chunks]
    assert [(each.index, each.start_s, each.end_s, each.fresh_s) for each in report.chunks] == spans
    assert again == report


async def test_the_conditions_are_those_of_the_channel_that_stands_for_all(tmp_path: Path) -> None:
    samples = call()
    samples[:, 0] //= 1_000  # too quiet, and not what is told of
    async with service(tmp_path) as running:
        told = await judged(running, samples, "separate")
        alone = await judged(running, samples[:, 1])
        quiet = await judged(running, samples, "0")
        again = await judged(running, samples, "0")
    assert told.channel == "1"
    assert told.answer.conditions == alone.answer.conditions
    assert "low_level" not in told.answer.conditions
    assert "low_level" in quiet.answer.conditions
    assert again == quiet


async def test_a_mono_recording_has_channel_0(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        mono = call()[:, 0]
        plain = await judged(running, mono)
        assert (plain.channel, plain.channels) == ("", ())
        for mode in ("separate", "0"):
            report = await judged(running, mono, mode)
            assert [(each.number, each.score) for each in report.channels] == [(0, plain.score)]


async def test_what_a_recording_does_not_have_is_refused(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        with pytest.raises(InvalidRequest, match="names channel 2, and the audio has 2 channels"):
            await judged(running, call(), "2")
        with pytest.raises(InvalidRequest, match="one channel, number 0"):
            await judged(running, call()[:, 0], "1")


@pytest.mark.parametrize("word", ["left", "-1", "1.0", "AUTO", "99999", "²"])
def test_an_unknown_word_is_refused(word: str) -> None:
    with pytest.raises(InvalidRequest, match="auto, mix, separate"):
        ChannelMode.parse(word)


def test_more_than_eight_channels_are_not_judged_apart() -> None:
    limits = AudioLimits(10_000_000, 100.0, 16, 192_000)
    with (
        AudioReader(wav(np.ones((RATE, 9), np.int16), RATE), limits, mode=ChannelMode("separate")) as reader,
        pytest.raises(TooLarge, match="9 channels"),
    ):
        list(reader)


def test_the_limit_on_seconds_counts_all_channels() -> None:
    limits = AudioLimits(10_000_000, 15.0, 2, 192_000)
    with AudioReader(wav(call(), RATE), limits, mode=ChannelMode("mix")) as reader:
        assert sum(map(len, reader)) == 3
    with AudioReader(wav(call(), RATE), limits) as reader, pytest.raises(TooLarge, match="all channels"):
        list(reader)


def test_the_limit_on_windows_counts_all_channels() -> None:
    limits = AudioLimits(10_000_000, 24.0, 2, 192_000)
    with AudioReader(wav(call(), RATE), limits, hop_s=2.0, mode=ChannelMode("mix")) as reader:
        assert sum(map(len, reader)) == 4
    with AudioReader(wav(call(), RATE), limits, hop_s=2.0) as reader, pytest.raises(TooLarge, match="hop_seconds"):
        list(reader)

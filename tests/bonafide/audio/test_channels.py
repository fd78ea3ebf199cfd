"""Channels become one: the mean where it keeps the sound, one channel where it would cancel it."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.channels import Downmix
from bonafide.audio.mono import Block, MonoMixer, joined
from tests.media import speech_like

RATE = 8_000
Sound = NDArray[np.float32]


def mixed(sound: Sound, cuts: tuple[int, ...] = ()) -> tuple[Sound, float]:
    """The mono samples, and the seconds in which one channel was taken."""
    downmix = Downmix(len(sound), RATE)
    edges = [0, *sorted(min(cut, sound.shape[1]) for cut in cuts), sound.shape[1]]
    parts = [downmix.feed(sound[:, a:b]).mono for a, b in pairwise(edges)]
    return np.concatenate([*parts, downmix.flush().mono]), downmix.cancelled_s


def voice(seconds: float = 2.0, seed: int = 1) -> Sound:
    return np.asarray(speech_like(seconds, RATE, seed=seed)[0])


def opposed(seconds: float = 2.0, level: float = -1.0) -> Sound:
    return np.stack([voice(seconds), np.float32(level) * voice(seconds)])


@pytest.mark.parametrize("level", [-1.0, -0.6, -1.7])
def test_opposed_channels_give_the_first(level: float) -> None:
    sound = opposed(level=level)
    mono, cancelled_s = mixed(sound)
    assert np.array_equal(mono, sound[0])
    assert cancelled_s == pytest.approx(2.0)


def test_a_silent_first_channel_is_not_taken() -> None:
    sound = np.concatenate([np.zeros((1, 2 * RATE), np.float32), opposed()])
    assert np.array_equal(mixed(sound)[0], sound[1])


@pytest.mark.parametrize(
    "sound",
    [
        np.stack([voice(), voice()]),
        np.stack([voice(seed=1), voice(seed=2)]),  # two speakers, one on each channel
        np.stack([voice(), np.zeros(2 * RATE, np.float32)]),
        np.stack([voice(), np.float32(-0.1) * voice()]),
        np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE)).astype(np.float32),
        speech_like(2.0, RATE, channels=6),
        np.zeros((2, RATE), np.float32),
    ],
    ids=["same", "two speakers", "one silent", "faint echo", "noise", "surround", "silence"],
)
def test_any_other_channels_give_their_mean(sound: Sound) -> None:
    mono, cancelled_s = mixed(sound)
    assert mono == pytest.approx(sound.mean(axis=0), abs=1e-6)
    assert cancelled_s == 0.0


def test_channels_that_turn_against_each_other_lose_less_than_a_cell() -> None:
    first = voice(4.0)
    sound = np.stack([first, np.concatenate([first[:17_111], -first[17_111:]])])
    mono, cancelled_s = mixed(sound)
    assert np.abs(mono - first)[np.r_[0:17_111, 17_111 + RATE // 20 : len(first)]].max() < 1e-6
    assert cancelled_s == pytest.approx(4.0 - 17_111 / RATE, abs=0.051)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4 * RATE), max_size=9).map(tuple), st.integers(2, 5), st.integers(0, 99))
def test_however_the_blocks_are_cut(cuts: tuple[int, ...], channels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    sound = speech_like(3.0, RATE, channels, seed) * random.uniform(-1, 1, (channels, 1)).astype(np.float32)
    assert np.array_equal(mixed(sound, cuts)[0], mixed(sound)[0])


def test_blocks_of_nothing_are_not_held() -> None:
    downmix = Downmix(2, RATE)
    sound = opposed()
    tracemalloc.start()
    try:
        parts = [downmix.feed(sound[:, :100]).mono]
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1_000):
            downmix.feed(sound[:, 100:100])
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()
    parts += [downmix.feed(sound[:, 100:]).mono, downmix.flush().mono]
    assert np.array_equal(np.concatenate(parts), mixed(sound)[0])


def test_joined_blocks_are_those_of_larger_frames() -> None:
    sound = np.stack([voice(seed=1), voice(seed=2)])
    samples = (32_767 * np.concatenate([sound[:, :1], sound, sound[:1].repeat(2, axis=0)], axis=1)).astype(np.int16).T

    def blocks(size: int) -> list[Block]:
        mixer = MonoMixer(2, RATE)
        pieces = [samples[start : start + size] for start in range(0, len(samples), size)]
        return joined([block for piece in pieces for block in [*mixer.pcm16(piece, RATE)]] + [*mixer.rest()])

    (large,), (small,) = blocks(len(samples)), blocks(7)
    assert large.parted_at is not None
    assert small.parted_at == large.parted_at
    assert np.array_equal(small.samples, large.samples)
    assert small.apart is not None
    assert np.array_equal(small.apart, samples.T / np.float32(32_768))


def test_blocks_of_different_channels_stay_apart() -> None:
    mixer = MonoMixer(2, RATE)
    mono, stereo = np.ones((900, 1), np.int16), np.ones((900, 2), np.int16)
    found = joined([block for each in (mono, mono, stereo, stereo, mono) for block in mixer.pcm16(each, RATE)])
    assert [(block.channels, len(block.samples)) for block in found] == [(1, 1_800), (2, 1_800), (1, 900)]
    assert joined([]) == []

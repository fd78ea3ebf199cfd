"""Two channels hold one voice while they correlate, and two parties from then on."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.channels import Downmix
from tests.media import speech_like

RATE = 8_000
Sound = NDArray[np.float32]


def parted_at(sound: Sound, cuts: tuple[int, ...] = ()) -> int | None:
    """The sample at which the channels part."""
    downmix = Downmix(len(sound), RATE)
    edges = [0, *sorted(min(cut, sound.shape[1]) for cut in cuts), sound.shape[1]]
    done = 0
    for mixed in [*(downmix.feed(sound[:, a:b]) for a, b in pairwise(edges)), downmix.flush()]:
        if mixed.parted_at is not None:
            return done + mixed.parted_at
        done += len(mixed.mono)
    return None


def voice(seed: int = 1, seconds: float = 6.0) -> Sound:
    return np.asarray(speech_like(seconds, RATE, seed=seed)[0])


def noise(seed: int, level: float = 0.01) -> Sound:
    return np.random.default_rng(seed).normal(0, level, 6 * RATE).astype(np.float32)


@pytest.mark.parametrize("level", [1.0, -1.0, 0.3, -0.2])
def test_one_voice_on_both_channels_stays_one(level: float) -> None:
    sound = np.stack([voice() + noise(2), np.float32(level) * voice() + noise(3)])
    assert parted_at(sound) is None


def test_two_voices_part_within_the_first_window() -> None:
    at = parted_at(np.stack([voice(1), np.random.default_rng(0).permutation(voice(2))]))
    assert at is not None
    assert at <= 4 * RATE


def test_a_silent_party_is_a_party() -> None:
    assert parted_at(np.stack([voice(), np.zeros(6 * RATE, np.float32)])) == RATE // 2


def test_who_speaks_after_minutes_of_one_voice_is_found() -> None:
    agent, caller = voice(1, 60.0), np.random.default_rng(1).permutation(voice(2, 6.0))
    quiet = np.zeros(6 * RATE, np.float32)
    sound = np.stack([np.concatenate([agent, quiet]), np.concatenate([0.1 * agent, caller])]).astype(np.float32)
    at = parted_at(sound)
    assert at is not None
    assert 60 * RATE < at < 63 * RATE


def test_silence_and_faint_noise_say_nothing() -> None:
    assert parted_at(np.zeros((2, RATE), np.float32)) is None
    assert parted_at(np.stack([noise(1, 0.001), noise(2, 0.001)])) is None


def test_three_channels_never_part() -> None:
    assert parted_at(np.stack([noise(1), noise(2), noise(3)])) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6 * RATE), max_size=9).map(tuple), st.floats(-1, 1), st.integers(0, 99))
def test_however_the_blocks_are_cut(cuts: tuple[int, ...], level: float, seed: int) -> None:
    sound = np.stack([voice(seed), np.float32(level) * voice(seed) + noise(seed, 0.05)])
    assert parted_at(sound, cuts) == parted_at(sound)

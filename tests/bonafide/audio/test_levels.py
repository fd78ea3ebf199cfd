"""One rule for levels: integers in floats come back to full scale, what is merely loud is clipped."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.audio.levels import model_input
from bonafide.audio.resampling import SAMPLE_RATE
from tests.media import speech_like

VOICE = speech_like(4.0)[0]


def scaled(factor: float) -> NDArray[np.float32]:
    return np.asarray(VOICE.astype(np.float64) * factor, np.float32)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_integers_come_back_to_full_scale(bits: int) -> None:
    plain, made = model_input(VOICE, SAMPLE_RATE), model_input(scaled(2.0 ** (bits - 1)), SAMPLE_RATE)
    assert np.array_equal(made.pcm, plain.pcm)
    assert (made.divisor, plain.divisor) == (2.0 ** (bits - 1), 1.0)


@pytest.mark.parametrize("factor", [3.0, 10.0, 100.0, 255.0, 5_000.0, 65_000.0, 1e6])
def test_no_scale_between_them_is_clipped_or_lost(factor: float) -> None:
    made = model_input(scaled(factor), SAMPLE_RATE)
    assert not made.clipped
    assert np.abs(made.pcm.astype(int)).max() > 300
    assert np.corrcoef(made.pcm, VOICE)[0, 1] > 0.95


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0])
def test_what_is_merely_too_loud_is_clipped(factor: float) -> None:
    made = model_input(scaled(factor), SAMPLE_RATE)
    assert made.divisor == 1.0
    assert np.array_equal(made.pcm, model_input(scaled(factor).clip(-1, 1), SAMPLE_RATE).pcm)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("click", [9.0, 30_000.0, 4e9])
def test_a_click_does_not_silence_the_window(rate: int, click: float) -> None:
    voice = speech_like(4.0, rate)[0]
    broken = voice.copy()
    broken[rate] = click
    plain, made = model_input(voice, rate), model_input(broken, rate)
    near = np.abs(np.arange(len(plain.pcm)) - SAMPLE_RATE) < 800
    assert np.abs(made.pcm.astype(int) - plain.pcm)[~near].max() <= 20
    assert made.divisor == 1.0


def test_a_clipping_storm_is_seen() -> None:
    assert model_input(np.sign(VOICE), SAMPLE_RATE).clipped
    assert model_input((20 * VOICE).clip(-1, 1), SAMPLE_RATE).clipped
    assert not model_input(VOICE, SAMPLE_RATE).clipped
    assert not model_input((1.5 * VOICE).clip(-1, 1), SAMPLE_RATE).clipped


def test_a_full_scale_tone_is_no_storm() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(64_000) / SAMPLE_RATE).astype(np.float32)
    assert not model_input(tone, SAMPLE_RATE).clipped


def test_what_16_bit_cannot_hold_is_faint() -> None:
    assert model_input(scaled(2.0**-15), SAMPLE_RATE).faint
    assert not model_input(scaled(2.0**-10), SAMPLE_RATE).faint
    assert not model_input(np.zeros(100, np.float32), SAMPLE_RATE).faint
    dither = np.random.default_rng(0).integers(-1, 2, 64_000) / np.float32(32_768)
    assert not model_input(dither.astype(np.float32), SAMPLE_RATE).faint


@pytest.mark.parametrize("count", [1, 2, 999, 1_000])
def test_few_samples_are_enough(count: int) -> None:
    made = model_input(np.full(count, 16_384.0, np.float32), SAMPLE_RATE)
    assert made.pcm.tolist() == [16_384] * count

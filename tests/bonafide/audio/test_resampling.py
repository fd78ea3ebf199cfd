"""Resampling keeps tones, levels and lengths, is exact at 16 kHz, and does not mix windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.resampling import SAMPLE_RATE, resample, to_pcm16

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000, 44_101, 16_001, 22_255)


def tone(hz: float, rate: int, seconds: int = 1) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(rate * seconds) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_pitch_and_level(rate: int) -> None:
    (resampled,) = resample(tone(1_000, rate)[np.newaxis], rate)
    assert len(resampled) == SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(resampled * np.hanning(len(resampled))))
    assert abs(int(spectrum.argmax()) - 1_000) <= 1
    assert np.abs(resampled[100:-100]).max() == pytest.approx(0.5, abs=0.01)


def test_what_16_khz_cannot_hold_is_filtered_out() -> None:
    (resampled,) = resample(tone(12_000, 48_000)[np.newaxis], 48_000)
    assert np.abs(resampled[100:-100]).max() < 1e-5


@pytest.mark.parametrize("rate", RATES)
def test_a_window_does_not_depend_on_its_neighbours(rate: int) -> None:
    random = np.random.default_rng(rate)
    windows = random.uniform(-1, 1, (5, rate)).astype(np.float32)
    together = to_pcm16(resample(windows, rate))
    alone = np.concatenate([to_pcm16(resample(window[np.newaxis], rate)) for window in windows])
    assert np.array_equal(together, alone)


@settings(max_examples=100, deadline=None)
@given(st.integers(4_000, 192_000), st.integers(0, 3_000))
def test_every_rate_gives_the_right_length(rate: int, samples: int) -> None:
    (resampled,) = resample(np.full((1, samples), 0.5, dtype=np.float32), rate)
    assert resampled.shape == (round(samples * SAMPLE_RATE / rate),)
    assert np.isfinite(resampled).all()


def test_at_16_khz_nothing_changes() -> None:
    windows = np.random.default_rng(0).uniform(-1, 1, (2, 64_000)).astype(np.float32)
    assert np.array_equal(resample(windows, SAMPLE_RATE), windows)


def test_no_windows_are_no_windows() -> None:
    assert resample(np.zeros((0, 176_400), dtype=np.float32), 44_100).shape == (0, 64_000)


def test_int16_survives_the_way_through_float() -> None:
    every = np.arange(-32_768, 32_768).astype(np.int16)
    assert np.array_equal(to_pcm16(every.astype(np.float32)[np.newaxis] / np.float32(32_768))[0], every)


def test_too_loud_samples_are_clipped() -> None:
    loud = np.array([[-1e30, -1.5, -1.0, 1.0, 1.5, 1e30]], dtype=np.float32)
    assert to_pcm16(loud).tolist() == [[-32_768, -32_768, -32_768, 32_767, 32_767, 32_767]]

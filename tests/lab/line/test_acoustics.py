"""Edges of the arithmetic: silence stays silent, levels are those asked for."""

import numpy as np
import pytest

from lab.line.acoustics import at_level_of, coloured, small_loudspeaker
from tests.media import speech_like


def test_silence_stays_silent() -> None:
    silence = np.zeros(16_000, np.float32)
    assert not small_loudspeaker(silence).any()
    assert not at_level_of(speech_like(1.0)[0], silence).any()


def test_a_loudspeaker_keeps_the_level_and_adds_harmonics() -> None:
    time = np.arange(16_000) / 16_000
    tone = (0.5 * np.sin(2 * np.pi * 1_000 * time)).astype(np.float32)
    heard = small_loudspeaker(tone)
    assert float((heard**2).mean()) == pytest.approx(float((tone**2).mean()), rel=1e-3)
    spectrum = np.abs(np.fft.rfft(heard[8_000:]))
    assert spectrum[1_500] > 0.03 * spectrum[500]  # the third harmonic; bins of 2 Hz
    assert spectrum[1_000] < 0.01 * spectrum[500]


def test_tilted_noise_falls_with_frequency() -> None:
    noise = coloured(np.random.default_rng(0).standard_normal(160_000), tilt=0.5)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves_apart = [power[10 * low : 10 * low + 2_000].mean() for low in (1_000, 4_000)]
    assert octaves_apart[0] / octaves_apart[1] == pytest.approx(4_200 / 1_200, rel=0.15)

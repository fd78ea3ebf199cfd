"""Simulated calls, and windows behind them: length, level, draws, pairs."""

from pathlib import Path

import numpy as np
import pytest

from lab.line.samples import RATE, Samples
from lab.training import voice_recordings
from lab.training.data import voice_calls
from lab.training.data.voice_audio import WINDOW
from lab.training.data.voice_calls import call

needs_codecs = pytest.mark.skipif(bool(voice_calls.missing()), reason=voice_calls.missing())


def tones(seed: int) -> Samples:
    pitch, time = 100 + 40 * seed, np.arange(WINDOW) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.01, WINDOW)
    return np.asarray(sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 9)) + noise, np.float32)


@needs_codecs
def test_calls_keep_the_length_and_differ_by_their_draws() -> None:
    heard = [call(tones(0), np.random.default_rng(seed)) for seed in range(12)]
    for each in heard:
        assert each.shape == (WINDOW,)
        assert each.dtype.name == "float32"
        assert 0.05 < np.abs(each).max() <= 1
    assert np.array_equal(heard[3], call(tones(0), np.random.default_rng(3)))
    assert len({each.tobytes() for each in heard}) == 12


@needs_codecs
def test_some_calls_are_narrow_and_others_are_not() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, WINDOW).astype(np.float32)

    def share_above_4_khz(seed: int) -> float:
        power = np.abs(np.fft.rfft(call(noise, np.random.default_rng(seed)))) ** 2
        return float(power[len(power) // 2 :].sum() / power.sum())

    shares = [share_above_4_khz(seed) for seed in range(16)]
    assert min(shares) < 0.01
    assert max(shares) > 0.1


def test_an_original_and_its_copy_go_through_the_same_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = np.array([100, -50, 25, 12, 6, 3, 1, 0], np.int16)
    windows = np.tile(levels[:, None], (1, WINDOW))
    windows[:, 0] = voice_recordings.FULL_SCALE
    draws: list[float] = []

    def noted(samples: Samples, rng: np.random.Generator) -> Samples:
        draws.append(rng.normal())
        return samples

    monkeypatch.setattr(voice_recordings, "call", noted)
    heard = voice_recordings.write_calls(windows, 5, 0, tmp_path / "calls.npy")
    np.testing.assert_array_equal(heard, windows)  # each as loud as can be, as they were
    assert draws[0] == draws[1]
    assert draws[4] == draws[5]
    assert len(set(draws)) == 6
    again = voice_recordings.write_calls(windows, 5, 0, tmp_path / "calls.npy")
    np.testing.assert_array_equal(again, heard)
    assert len(draws) == 8  # opened, not made again

"""Music is told of tunes, also under a voice and after a codec; not of voices, and not of a telephone's own tones."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.audio.conditions import ConditionMeter
from bonafide.audio.levels import model_input
from bonafide.audio.music import MUSIC_SHARE, MusicMeter, activation
from bonafide.audio.reader import AudioLimits, AudioReader
from bonafide.audio.windows import WindowCutter
from tests.bonafide.audio.tunes import syllables, tune
from tests.media import encode, encoder_rate

RATE = 16_000
SAMPLES = Path(__file__).parents[3] / "samples"
LIMITS = AudioLimits(max_bytes=64 * 2**20, max_seconds=4 * 3_600, max_channels=16, max_sample_rate=192_000)


def has_music(samples: NDArray[np.float32], rate: int = RATE, pieces: int = 1) -> bool:
    meter = ConditionMeter()
    for piece in np.array_split(samples, pieces):
        meter.add(piece, rate, model_input(piece, rate))
    return "music" in meter.names()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_tune_is_music(rate: int) -> None:
    assert has_music(tune(rate=rate), rate)


@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_a_tune_under_a_voice_is_music_and_the_voice_is_not(gain: float) -> None:
    assert has_music(syllables() + np.float32(gain) * tune())
    assert not has_music(syllables())


@pytest.mark.parametrize("name", ["call.mp3", "call_modern.mp3", "call_spoof.mp3"])
def test_the_samples_are_speech(name: str) -> None:
    with AudioReader((SAMPLES / name).read_bytes(), LIMITS) as reader:
        for _ in reader:
            pass
    assert "music" not in reader.conditions


@pytest.mark.parametrize("kind", ["mp3", "opus", "wav-mulaw"])
def test_a_tune_stays_music_in_a_lossy_codec(kind: str) -> None:
    rate = encoder_rate(kind)
    with AudioReader(encode(tune(rate=rate)[np.newaxis], rate, kind), LIMITS) as reader:
        for _ in reader:
            pass
    assert {"music", "codec"} <= set(reader.conditions)


@pytest.mark.parametrize(
    ("tones", "on_s", "every_s"),
    [((440, 480), 2, 6), ((425,), 1, 5), ((350, 440), 6, 6), ((480, 620), 0.5, 1), ((697, 1_209), 0.1, 0.2)],
    ids=["ringing", "ringing in Europe", "dial", "busy", "key"],
)
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_the_tones_of_a_telephone_are_no_music(
    tones: tuple[int, ...], on_s: float, every_s: float, noise: float
) -> None:
    time = np.arange(12 * RATE) / RATE
    sound = 0.1 * sum(np.sin(2 * np.pi * tone * time) for tone in tones) * (time % every_s < on_s)
    sound = sound + noise * np.random.default_rng(0).standard_normal(len(time))
    assert not has_music(np.asarray(sound, np.float32))


def test_noise_and_silence_are_no_music() -> None:
    assert not has_music(0.1 * np.random.default_rng(0).standard_normal(12 * RATE).astype(np.float32))
    assert not has_music(np.zeros(12 * RATE, np.float32))


def test_music_is_told_from_a_quarter_of_what_is_heard_and_silence_does_not_count() -> None:
    block = 41 * 1_024
    voice, music = ((each[: 4 * block] * 32_767).astype(np.int16) for each in (syllables(), tune()))
    meter = MusicMeter()
    meter.add(np.concatenate([music, np.zeros(8 * block, np.int16)]))
    assert (meter.musical, meter.found) == (meter.heard, True)
    heard = meter.heard
    while meter.found:
        meter.add(voice)
    assert meter.musical / meter.heard < MUSIC_SHARE <= meter.musical / (meter.heard - 4)
    assert meter.heard >= 4 * heard - 4


def test_less_than_a_block_is_not_judged() -> None:
    assert not has_music(tune(2.5))
    assert has_music(tune(3.0))


@pytest.mark.parametrize("pieces", [3, 601])
def test_the_same_samples_give_the_same_counts_however_they_are_cut(pieces: int) -> None:
    samples = (np.concatenate([tune(6.0), syllables(6.0)]) * 32_767).astype(np.int16)
    whole, cut = MusicMeter(), MusicMeter()
    whole.add(samples)
    for piece in np.array_split(samples, pieces):
        cut.add(piece)
    assert (cut.heard, cut.musical) == (whole.heard, whole.musical)
    assert 0 < whole.musical < whole.heard


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_windows_that_overlap_are_heard_once(rate: int) -> None:
    counts = []
    for hop_s in (4.0, 1.0):
        meter, cutter = ConditionMeter(), WindowCutter(rate, 4.0, hop_s)
        for cut in cutter.feed(tune(13.0, rate)):
            meter.add(cut.samples[-cut.fresh :], rate, model_input(cut.samples, rate))
        counts.append(meter.music.heard)
    assert counts == [4, 4]


def test_activation_is_that_of_the_five_steadiest_tones() -> None:
    shares = np.zeros(207)
    shares[[10, 30, 50, 70, 90, 110]] = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
    assert activation(shares) == pytest.approx(4.0)
    assert activation(np.full(207, 0.9)) == 0.0
    shares[:] = 0.2
    shares[100] = 0.9
    assert activation(shares) == pytest.approx(0.7)

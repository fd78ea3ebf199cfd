"""What each condition does to a recording, as the service then reads it: length, level, spectrum, repeatability."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.audio.reader import AudioLimits, AudioReader
from bonafide.settings import Settings
from lab.line import conditions as module
from lab.line.codecs import Codec, has_encoder
from lab.line.conditions import CLEAN, Condition, conditions
from lab.line.recording import Line
from tests.media import encode, speech_like

LIMITS = AudioLimits.from_settings(Settings())
SECONDS = 6.3
RECORDING = encode(0.5 * speech_like(SECONDS, 16_000, seed=3) + 0.02 * speech_like(SECONDS, 16_000, seed=4), 16_000)
MADE = [each for each in conditions() if not each.missing()]
DEGRADING = [each for each in MADE if each.name != CLEAN]
NARROW = {"mu-law", "a-law", "gsm", "amr"}
BLURRED = {"opus-16k-loss10": 0.5, "opus-8k-loss10": 0.5, "room": 0.35, "replay": 0.4}
"""Likeness of the envelopes at least left of eight syllables a second; 1 is the same."""
LEVEL_DB = {"noise-20db": (0, 0.2), "noise-10db": (0.2, 0.7), "noise-5db": (0.8, 1.6)}


def heard(data: bytes) -> NDArray[np.float64]:
    """What the service makes of a recording: the fresh part of each window, at 16 kHz, -1..1."""
    with AudioReader(data, LIMITS) as reader:
        windows = [window for step in reader for window in step]
    return np.concatenate([each.pcm[-round(each.fresh_s * 16_000) :] for each in windows]) / 32_768


def level_db(samples: NDArray[np.float64]) -> float:
    return float(10 * np.log10((samples**2).mean()))


def share_between(samples: NDArray[np.float64], low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / 16_000)
    return float(power[(frequency >= low_hz) & (frequency < high_hz)].sum() / power.sum())


def named(name: str) -> Condition:
    return next(each for each in conditions() if each.name == name)


@pytest.mark.parametrize("condition", DEGRADING, ids=lambda each: each.name)
def test_length_and_level_are_kept_and_the_same_seed_repeats(condition: Condition) -> None:
    sent = Line(condition).send(RECORDING, LIMITS)
    before, after = heard(RECORDING), heard(sent)
    assert abs(len(after) - len(before)) <= 2
    low, high = LEVEL_DB.get(condition.name, (-3, 0.2))
    assert low <= level_db(after) - level_db(before) <= high
    assert np.abs(after).max() <= 1
    assert sent != RECORDING
    assert Line(condition).send(RECORDING, LIMITS) == sent
    # Not delayed by more than a few milliseconds, and still the same speech: the envelopes agree.
    envelopes = [np.convolve(np.abs(each[:100_000]), np.ones(800) / 800, "same") for each in (before, after)]
    assert np.corrcoef(envelopes[0], envelopes[1])[0, 1] > BLURRED.get(condition.name, 0.9)


@pytest.mark.parametrize("condition", DEGRADING, ids=lambda each: each.name)
def test_only_what_holds_chance_depends_on_the_seed(condition: Condition) -> None:
    chance = condition.name.startswith("noise") or condition.name in {"room", "replay"} or "loss" in condition.name
    same = Line(condition, 1).send(RECORDING, LIMITS) == Line(condition, 2).send(RECORDING, LIMITS)
    assert same is not chance


@pytest.mark.parametrize("condition", [each for each in MADE if each.name in NARROW], ids=lambda each: each.name)
def test_nothing_is_left_above_4_khz_after_the_telephone(condition: Condition) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)
    data = encode(noise, 16_000)
    assert share_between(heard(data), 4_100, 8_000) > 0.45
    assert share_between(heard(Line(condition).send(data, LIMITS)), 4_100, 8_000) < 1e-4


def test_noise_lies_so_far_below_the_speech_as_said() -> None:
    for snr_db in (20, 10, 5):
        added = heard(Line(named(f"noise-{snr_db}db")).send(RECORDING, LIMITS)) - heard(RECORDING)
        assert level_db(heard(RECORDING)) - level_db(added) == pytest.approx(snr_db, abs=0.3)


def test_a_room_sounds_on_after_the_voice_has_ended() -> None:
    click = np.zeros(5 * 16_000, np.float32)
    click[:1_600] = speech_like(0.1)[0]
    after = heard(Line(named("room")).send(encode(click, 16_000), LIMITS))
    early, late = level_db(after[1_700:3_300]), level_db(after[4_900:6_500])
    assert early - late == pytest.approx(60 * 3_200 / 8_000, abs=5)


def test_a_small_loudspeaker_has_no_bass_and_its_resonance() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)
    after = heard(Line(named("replay")).send(encode(noise, 16_000), LIMITS))
    middle = share_between(after, 2_000, 2_200)
    assert share_between(after, 200, 400) < 0.1 * middle
    assert share_between(after, 850, 1_050) > 2 * middle


def test_clean_files_stay_as_they_are() -> None:
    assert conditions()[0].name == CLEAN
    assert Line(named(CLEAN)).send(b"whatever", LIMITS) == b"whatever"


def test_names_and_descriptions_tell_conditions_apart() -> None:
    assert len({each.name for each in conditions()}) == len({each.description for each in conditions()})
    assert len({Line(each).identity for each in conditions()} | {Line(conditions()[0], 1).identity}) == 16


def test_a_condition_without_its_encoder_says_so() -> None:
    absent = module._by_ffmpeg("x", "", Codec("wav", "no_such_encoder", 8_000), 8)
    assert absent.missing() == "no encoder: PyAV's FFmpeg has no no_such_encoder"
    assert has_encoder("pcm_mulaw")
    assert not has_encoder("gsm")

"""From bytes to bytes: what a line draws depends on the recording, not on its name or turn; odd recordings."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.audio.reader import AudioLimits, AudioReader
from bonafide.errors import UnreadableMedia
from bonafide.settings import Settings
from lab.line.conditions import Condition, Sound, conditions
from lab.line.recording import Line, as_wav
from lab.line.samples import RATE, Samples
from tests.media import encode, speech_like

LIMITS = AudioLimits.from_settings(Settings())


def taken(data: bytes) -> Samples:
    """What a condition is given of a recording."""
    seen: list[Samples] = []

    def keep(samples: Samples, rng: np.random.Generator) -> Sound:
        seen.append(samples)
        return Sound(samples, RATE)

    Line(Condition("kept", "", keep)).send(data, LIMITS)
    return seen[0]


@pytest.mark.parametrize(("kind", "rate"), [("wav", 16_000), ("flac", 44_100), ("wav-float", 8_000)])
def test_a_condition_gets_the_samples_at_16_khz(kind: str, rate: int) -> None:
    sound = speech_like(5.0, rate, seed=1)
    got = taken(encode(sound, rate, kind))
    assert len(got) == 80_000
    assert np.abs(got).max() <= 1
    if rate == 16_000:
        assert np.abs(got - sound[0]).max() < 1e-4
    else:
        assert float((got**2).mean()) == pytest.approx(float((sound**2).mean()), rel=0.02)


def test_samples_at_the_scale_of_integers_are_scaled_as_the_service_does() -> None:
    sound = speech_like(5.0, 16_000, seed=1)
    assert np.abs(taken(encode(32_768 * sound, 16_000, "wav-float")) - sound[0]).max() < 1e-4


def test_two_recordings_do_not_share_their_noise() -> None:
    noise = next(each for each in conditions() if each.name == "noise-5db")
    given = [encode(speech_like(4.0, seed=seed), 16_000) for seed in (1, 2)]
    added = []
    for data in given:
        sent = Line(noise).send(data, LIMITS)
        added.append(taken(sent) - taken(data))
    assert abs(np.corrcoef(added[0], added[1])[0, 1]) < 0.1


def call() -> NDArray[np.float32]:
    """Two parties who take turns, float32 (2, samples)."""
    both = np.concatenate([speech_like(12.0, seed=1), speech_like(12.0, seed=2)])
    first = np.arange(both.shape[1]) // RATE % 4 < 2
    return np.where(np.stack([first, ~first]), both, 0).astype(np.float32)


@pytest.mark.parametrize("name", ["mu-law", "opus-16k-loss10", "noise-5db", "room"])
def test_both_parties_of_a_call_are_judged_behind_the_line_as_before_it(name: str) -> None:
    condition = next(each for each in conditions() if each.name == name)
    if missing := condition.missing():
        pytest.skip(missing)
    clean = encode(call(), RATE)
    sent = Line(condition).send(clean, LIMITS)
    places = [[window.place for windows in AudioReader(data, LIMITS) for window in windows] for data in (clean, sent)]
    assert places[0] == [(index, channel) for index in range(3) for channel in (0, 1)]
    assert places[1] == places[0]


def test_each_party_has_a_line_of_its_own() -> None:
    seen: list[Samples] = []

    def keep(samples: Samples, rng: np.random.Generator) -> Sound:
        seen.append(samples)
        return Sound(samples, RATE)

    sound = call()
    line = Line(Condition("kept", "", keep))
    assert line.send(encode(sound, RATE), LIMITS) == as_wav(*(Sound(channel, RATE) for channel in seen))
    assert np.abs(np.stack(seen) - sound).max() < 1e-4
    seen.clear()
    line.send(encode(np.concatenate([sound[:1], sound[:1]]), RATE), LIMITS)
    assert len(seen) == 1


def test_what_is_no_recording_is_refused_as_by_the_service() -> None:
    noise = next(each for each in conditions() if each.name == "noise-5db")
    with pytest.raises(UnreadableMedia):
        Line(noise).send(b"RIFF nothing", LIMITS)

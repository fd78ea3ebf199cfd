"""From bytes to bytes: what a line draws depends on the recording, not on its name or turn; odd recordings."""

import numpy as np
import pytest

from bonafide.audio.reader import AudioLimits
from bonafide.errors import UnreadableMedia
from bonafide.settings import Settings
from lab.line.conditions import Condition, Sound, conditions
from lab.line.recording import Line
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


def test_what_is_no_recording_is_refused_as_by_the_service() -> None:
    noise = next(each for each in conditions() if each.name == "noise-5db")
    with pytest.raises(UnreadableMedia):
        Line(noise).send(b"RIFF nothing", LIMITS)

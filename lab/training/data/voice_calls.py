"""Calls, so that what their codecs leave behind is not taken for synthesis: GSM, AMR, Opus with lost packets.

Independent of classes: the draw depends on the random generator alone.
"""

import numpy as np

from lab.line.codecs import AMR, through
from lab.line.conditions import conditions
from lab.line.gsm import GSM_RATE, through_gsm
from lab.line.opus import through_opus
from lab.line.samples import RATE, Samples, fitted, resample

_AMR_KBIT = (4.75, 5.9, 7.4, 12.2)
_OPUS_KBIT = (6, 8, 12, 16)
_LOSSES = (0.0, 0.0, 0.03, 0.1)
OPUS_SHARE = 0.5


def missing() -> str:
    """Why calls cannot be simulated here, or empty."""
    used = (each for each in conditions() if each.name in ("gsm", "amr", "opus-8k"))
    return next(filter(None, (each.missing() for each in used)), "")


def call(samples: Samples, rng: np.random.Generator) -> Samples:
    """Sends one window through a randomly drawn call.

    Args:
        samples: float32 (samples,), 16 kHz, not silent, of any level.
        rng: draws level, codec, bit rate and lost packets.

    Returns:
        float32 (samples,), the same length, -1..1.

    Raises:
        RuntimeError: an encoder is missing, see `missing`.
    """
    loudest = 10 ** (rng.uniform(-20, -1) / 20)
    voice = np.asarray(samples / np.abs(samples).max() * loudest, np.float32)
    if rng.random() < OPUS_SHARE:
        heard = through_opus(voice, float(rng.choice(_OPUS_KBIT)), float(rng.choice(_LOSSES)), rng)
    elif rng.random() < 0.5:
        heard = resample(through_gsm(resample(voice, RATE, GSM_RATE)), GSM_RATE)
    else:
        heard = resample(through(resample(voice, RATE, AMR.rate), AMR, float(rng.choice(_AMR_KBIT))), AMR.rate)
    return fitted(heard, len(samples)).clip(-1, 1)

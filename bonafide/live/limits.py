"""What a live session takes: lengths of windows and messages, sample rates, and samples that are sound."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.levels import LOUDEST
from bonafide.audio.reader import WINDOW_SECONDS
from bonafide.errors import InvalidRequest, UnreadableMedia

MIN_RATE, MAX_RATE = 8_000, 192_000
MIN_SECONDS = 0.25
"""Of a window, and between the starts of two; a `flush` does not judge less."""


@dataclass(frozen=True)
class LiveConfig:
    """Windows of a session.

    Attributes:
        chunk_s: seconds of a window, 0.25..4.
        overlap_s: seconds that adjacent windows share, 0..`chunk_s` - 0.25.

    Raises:
        InvalidRequest: outside these ranges.
    """

    chunk_s: float = 1.0
    overlap_s: float = 0.0

    def __post_init__(self) -> None:
        if not MIN_SECONDS <= self.chunk_s <= WINDOW_SECONDS:
            raise InvalidRequest(f"chunk_duration must be {MIN_SECONDS} to {WINDOW_SECONDS} seconds")
        if not 0 <= self.overlap_s <= self.chunk_s - MIN_SECONDS:
            raise InvalidRequest(f"overlap_duration must be 0 to chunk_duration less {MIN_SECONDS} seconds")


@dataclass(frozen=True)
class LiveLimits:
    """Limits of a session.

    Attributes:
        max_message_s: seconds of audio in one message.
        idle_s: seconds without a message.
        max_session_s: seconds from its start, and seconds of audio, of all channels that are judged apart together.
    """

    max_message_s: float
    idle_s: float
    max_session_s: float


def check_rate(rate: int) -> None:
    """Refuses an unsupported sample rate.

    Raises:
        InvalidRequest: outside 8,000..192,000 Hz.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidRequest(f"sample_rate must be {MIN_RATE} to {MAX_RATE} Hz")


def check_samples(samples: NDArray[np.float32]) -> None:
    """Refuses what is no sound.

    Args:
        samples: float32 array (n,).

    Raises:
        UnreadableMedia: samples that are not finite, or beyond any range.
    """
    loudest = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(loudest):
        raise UnreadableMedia("the audio holds samples that are not finite numbers")
    if loudest > LOUDEST:
        raise UnreadableMedia("samples lie far beyond any range: are they in another encoding?")

"""Interleaved samples of a live stream -> mono, by the rule for the channels of recordings, see `audio.channels`."""

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.channels import Downmix
from bonafide.audio.plausibility import LEAST_CANCELLED_S, cancelled


class Interleaved:
    """Mixes the channels of one stream; up to 50 ms wait until they can be mixed.

    Args:
        channels: two or more.
        rate: samples of one channel in a second.
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._downmix = Downmix(channels, rate)

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mono samples that are complete now, float32 (n,).

        Args:
            samples: float32 array (n * channels,), interleaved, finite and within `levels.LOUDEST`.
        """
        return self._downmix.feed(samples.reshape(-1, self._downmix.channels).T).mono

    def finish(self) -> NDArray[np.float32]:
        """The mono samples of what waits, at the end of the stream: float32 (n,)."""
        return self._downmix.flush().mono

    @property
    def warnings(self) -> list[str]:
        """What is odd about the channels so far, as sentences."""
        seconds = self._downmix.cancelled_s
        return [cancelled(seconds)] if seconds >= LEAST_CANCELLED_S else []

    def close(self) -> None:
        """Nothing is to be freed."""

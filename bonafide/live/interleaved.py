"""Interleaved samples of a live stream -> blocks, by the rule for the channels of recordings, see `audio.channels`."""

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.channels import Downmix
from bonafide.audio.mono import Block
from bonafide.audio.plausibility import LEAST_CANCELLED_S, cancelled


class Interleaved:
    """Mixes the channels of one stream, and hands them on apart too; up to 50 ms wait until they can be mixed.

    Args:
        channels: two or more.
        rate: samples of one channel in a second.
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._downmix = Downmix(channels, rate)

    def feed(self, samples: NDArray[np.float32]) -> Block:
        """The samples that are complete now.

        Args:
            samples: float32 array (n * channels,), interleaved, finite and within `levels.LOUDEST`.
        """
        downmix = self._downmix
        sound = samples.reshape(-1, downmix.channels).T
        return Block.of(downmix.feed(sound), downmix.rate, downmix.channels)

    def finish(self) -> Block:
        """What waits, at the end of the stream."""
        return Block.of(self._downmix.flush(), self._downmix.rate, self._downmix.channels)

    @property
    def warnings(self) -> list[str]:
        """What is odd about the channels so far, as sentences."""
        seconds = self._downmix.cancelled_s
        return [cancelled(seconds)] if seconds >= LEAST_CANCELLED_S else []

    def close(self) -> None:
        """Nothing is to be freed."""

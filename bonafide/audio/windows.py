"""Cuts a stream of mono samples into windows of one length; no I/O, no decoding.

In: float32 blocks of any size, at the recording's own rate. Out: whole windows, and on `flush` the rest.
Recordings and live streams share it, so the same samples give the same windows however they arrive.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Cut(NamedTuple):
    """One window as it was cut.

    Attributes:
        samples: float32 array (window_samples,), zero-padded after `valid`.
        valid: how many of the samples were really there, 1..window_samples.
    """

    samples: NDArray[np.float32]
    valid: int


class WindowCutter:
    """Collects mono blocks and hands out windows of `window_s` seconds that start every `hop_s` seconds.

    It holds less than one window of samples. Not safe for use from two threads at once.
    """

    def __init__(self, rate: int, window_s: float, hop_s: float | None = None) -> None:
        """Starts empty.

        Args:
            rate: samples per second of what will be fed.
            window_s: length of a window in seconds.
            hop_s: distance between the starts of two windows in seconds, at most `window_s`; None: windows
                follow one another without overlap.

        Raises:
            ValueError: a window or hop shorter than one sample, or a hop longer than the window.
        """
        self.rate = rate
        self.window_samples = round(rate * window_s)
        self.hop_samples = self.window_samples if hop_s is None else round(rate * hop_s)
        if not 1 <= self.hop_samples <= self.window_samples:
            raise ValueError(f"cannot cut {window_s} s windows every {hop_s} s at {rate} Hz")
        self._buffer = np.zeros(self.window_samples, dtype=np.float32)
        self._filled = 0
        self._seen = 0  # leading samples of the buffer that an earlier window already held

    @property
    def pending(self) -> NDArray[np.float32]:
        """A copy of the samples that wait for their window to fill: float32 array (n,)."""
        return self._buffer[: self._filled].copy()

    @property
    def unseen_samples(self) -> int:
        """How many samples were fed that no window has held yet."""
        return self._filled - self._seen

    def feed(self, block: NDArray[np.float32]) -> list[Cut]:
        """Takes a mono block (n,) of any length and returns the windows that it completes."""
        cuts = []
        while len(block):
            taken = min(len(block), self.window_samples - self._filled)
            self._buffer[self._filled : self._filled + taken] = block[:taken]
            self._filled += taken
            block = block[taken:]
            if self._filled == self.window_samples:
                cuts.append(Cut(self._buffer.copy(), self.window_samples))
                self._seen = self.window_samples - self.hop_samples
                self._buffer[: self._seen] = self._buffer[self.hop_samples :].copy()
                self._filled = self._seen
        return cuts

    def flush(self) -> Cut | None:
        """Returns a last, zero-padded window if some samples were in no window yet; empties the cutter."""
        last = None
        if self.unseen_samples:
            padded = np.zeros(self.window_samples, dtype=np.float32)
            padded[: self._filled] = self._buffer[: self._filled]
            last = Cut(padded, self._filled)
        self._filled = self._seen = 0
        return last

"""Cuts a stream of mono samples into windows of one length; no I/O, no decoding.

In: float32 blocks of any size, at the recording's own rate. Out: whole windows, and on `flush` the rest.
Recordings and live streams share it, so the same samples give the same windows however they arrive.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_FOR_ONE = 4
"""So many short windows, at most, take the place of a full one in a batch."""


class Cut(NamedTuple):
    """One window as it was cut.

    Attributes:
        samples: float32 array (n,), as long as a window, with what lies before it where that is asked for; shorter only
            if nothing was fed before it that could fill it.
        fresh: how many samples at the end no earlier window held, 1..n.
    """

    samples: NDArray[np.float32]
    fresh: int


class Rest(NamedTuple):
    """State that one cutter passes to the next, for another rate or length.

    Attributes:
        history: float32 array (n,), samples before `unseen` that windows have held, at most a window and what is given
            with it.
        unseen: float32 array (m,), samples that no window has held yet.
        rate: samples per second of both.
    """

    history: NDArray[np.float32]
    unseen: NDArray[np.float32]
    rate: int


class WindowCutter:
    """Collects mono blocks and hands out windows of `window_s` seconds that start every `hop_s` seconds.

    It holds less than two windows of samples. Not safe for use from two threads at once.
    """

    def __init__(
        self,
        rate: int,
        window_s: float,
        hop_s: float | None = None,
        history: NDArray[np.float32] | None = None,
        before_s: float = 0.0,
        *,
        exact: bool = False,
    ) -> None:
        """Starts empty.

        Args:
            rate: samples per second of what will be fed.
            window_s: length of a window in seconds.
            hop_s: distance between the starts of two windows in seconds, at most `window_s`; None: windows
                follow one another without overlap.
            history: float32 array (n,) at `rate`, judged samples before the first that will be fed.
            before_s: so many seconds of what lies before a window are given with it, as far as there are any.
            exact: the k-th window starts at the sample nearest to `k * hop_s`, so that starts never drift where a hop
                is no whole number of samples; else every hop is rounded by itself.

        Raises:
            ValueError: a window or hop shorter than one sample, or a hop longer than the window.
        """
        self.rate = rate
        self.window_samples = round(rate * window_s)
        self.hop_samples = self.window_samples if hop_s is None else round(rate * hop_s)
        if not 1 <= self.hop_samples <= self.window_samples:
            raise ValueError(f"cannot cut {window_s} s windows every {hop_s} s at {rate} Hz")
        self._exact_hop = rate * hop_s if exact and hop_s is not None else float(self.hop_samples)
        self._count = 0
        self._buffer = np.zeros(self.window_samples, dtype=np.float32)
        self._filled = 0
        self._seen = 0  # leading samples of the buffer that an earlier window already held
        self._most = self.window_samples + math.ceil(rate * before_s)
        self._history = np.zeros(0, np.float32) if history is None else history[-self._most :]

    @property
    def unseen_samples(self) -> int:
        """How many samples were fed that no window has held yet."""
        return self._filled - self._seen

    @property
    def rest(self) -> Rest:
        """A copy of the state with which the next cutter continues."""
        return Rest(self._history.copy(), self._buffer[self._seen : self._filled].copy(), self.rate)

    def feed(self, block: NDArray[np.float32]) -> list[Cut]:
        """Takes a mono block (n,) of any length and returns the windows that it completes."""
        cuts = []
        while len(block):
            taken = min(len(block), self.window_samples - self._filled)
            self._buffer[self._filled : self._filled + taken] = block[:taken]
            self._filled += taken
            block = block[taken:]
            if self._filled == self.window_samples:
                cuts.append(self._cut())
                self._count += 1
                hop = round(self._count * self._exact_hop) - round((self._count - 1) * self._exact_hop)
                self._seen = self.window_samples - hop
                self._buffer[: self._seen] = self._buffer[hop:].copy()
                self._filled = self._seen
        return cuts

    def overlap(self, samples: NDArray[np.float32]) -> None:
        """Begins with samples (n,) that windows of another cutter held: the first window reaches back into them.

        Args:
            samples: as many as two windows share, at `rate`; nothing was fed before.
        """
        self._seen = self._filled = min(len(samples), self.window_samples - self.hop_samples)
        if self._seen:
            self._buffer[: self._seen] = samples[-self._seen :]

    def flush(self) -> Cut | None:
        """Returns a last window if some samples were in no window yet; the next one begins after it.

        It reaches back into the windows before it, as far as needed to be as long as they are.
        """
        last = self._cut() if self.unseen_samples else None
        self._filled = self._seen = 0
        return last

    def _cut(self) -> Cut:
        """The window that ends where the buffer does."""
        fresh = self.unseen_samples
        self._history = np.concatenate([self._history, self._buffer[self._seen : self._filled]])[-self._most :]
        return Cut(self._history, fresh)

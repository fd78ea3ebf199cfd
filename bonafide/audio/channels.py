"""Channels -> one: their mean, or one of them where the mean would cancel the sound.

In: float32 blocks of any size with several channels. Out: the same mono samples however the blocks were cut.
"""

import numpy as np
from numpy.typing import NDArray

_CELLS_PER_SECOND = 20
_LEAST_SUM = 0.25
"""Of the channels' energies: their sum has 1 of it when they are independent, 0 when they cancel each other."""
_SUBSTANTIAL = 0.1
"""Of the loudest channel's energy: a channel below it is not judged in place of the mean."""


class Downmix:
    """Mixes the channels of one stream; decides anew every 50 ms, counted from its start.

    Where the sum of the channels has less than a quarter of the energy that independent channels would give it (two
    channels: a correlation under -0.75), the first channel that is not much weaker than the loudest is taken instead.
    It holds less than 50 ms of samples.

    Attributes:
        cancelled_s: seconds in which one channel was taken.
    """

    def __init__(self, channels: int, rate: int) -> None:
        """Starts empty.

        Args:
            channels: of the stream, two or more.
            rate: samples per second.
        """
        self.channels = channels
        self.rate = rate
        self.cancelled_s = 0.0
        self._cell = rate // _CELLS_PER_SECOND
        self._waiting: list[NDArray[np.float32]] = []
        self._waiting_samples = 0

    def feed(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes finite samples (channels, n) of any n and returns the mono samples that they complete."""
        self._waiting.append(sound)
        self._waiting_samples += sound.shape[1]
        if self._waiting_samples < self._cell:
            return np.zeros(0, np.float32)
        sound = self._taken()
        whole = sound.shape[1] - sound.shape[1] % self._cell
        if whole < sound.shape[1]:
            self._waiting, self._waiting_samples = [sound[:, whole:].copy()], sound.shape[1] - whole
        return self._mixed(sound[:, :whole], self._cell)

    def flush(self) -> NDArray[np.float32]:
        """The mono samples of what is left, less than 50 ms."""
        if not self._waiting_samples:
            return np.zeros(0, np.float32)
        rest = self._taken()
        return self._mixed(rest, rest.shape[1])

    def _taken(self) -> NDArray[np.float32]:
        waiting = self._waiting
        self._waiting, self._waiting_samples = [], 0
        return waiting[0] if len(waiting) == 1 else np.concatenate(waiting, axis=1)

    def _mixed(self, sound: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
        cells = np.ascontiguousarray(sound).reshape(self.channels, -1, cell)
        total = cells[0].copy()
        for channel in cells[1:]:
            total += channel
        energies = np.einsum("ckn,ckn->ck", cells, cells)
        cancelled = np.einsum("kn,kn->k", total, total) < _LEAST_SUM * energies.sum(axis=0)
        mono: NDArray[np.float32] = total / np.float32(self.channels)
        for place in np.flatnonzero(cancelled):
            apart = energies[:, place]
            mono[place] = cells[np.argmax(apart >= _SUBSTANTIAL * apart.max()), place]
        self.cancelled_s += np.count_nonzero(cancelled) * cell / self.rate
        return mono.reshape(-1)

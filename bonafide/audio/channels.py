"""Channels -> one: their mean, or one of them where the mean would cancel the sound; and each of them beside it.

In: float32 blocks of any size with several channels. Out: the same samples however the blocks were cut.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.two_parties import TwoParties

_CELLS_PER_SECOND = 20
_LEAST_SUM = 0.25
"""Of the channels' energies: their sum has 1 of it when they are independent, 0 when they cancel each other."""
_SUBSTANTIAL = 0.1
"""Of the loudest channel's energy: a channel below it is not judged in place of the mean."""


class Mixed(NamedTuple):
    """Samples of a stream, whose channels were mixed.

    Attributes:
        mono: float32 array (n,).
        apart: float32 array (channels, n), what was mixed.
        parted_at: of two channels that hold two parties (see `TwoParties`), how many of the samples came when that was
            found, 0..n; 0 if it was found before them; None: they hold one voice.
    """

    mono: NDArray[np.float32]
    apart: NDArray[np.float32]
    parted_at: int | None = None


class Downmix:
    """Mixes the channels of one stream; decides anew every 50 ms, counted from its start.

    Where the sum of the channels has less than a quarter of the energy that independent channels would give it (two
    channels: a correlation under -0.75), the first channel that is not much weaker than the loudest is taken instead.
    It holds less than 50 ms of samples.

    Attributes:
        cancelled_s: seconds in which one channel was taken.
    """

    def __init__(self, channels: int, rate: int, parting: TwoParties | None = None) -> None:
        """Starts empty.

        Args:
            channels: of the stream, two or more.
            rate: samples per second.
            parting: of the recording so far; None: it begins here.
        """
        self.channels = channels
        self.rate = rate
        self.cancelled_s = 0.0
        self._cell = rate // _CELLS_PER_SECOND
        self._parting = (parting or TwoParties()) if channels == 2 else None
        self._waiting: list[NDArray[np.float32]] = []
        self._waiting_samples = 0

    def feed(self, sound: NDArray[np.float32]) -> Mixed:
        """Takes finite samples (channels, n) of any n and returns what they complete."""
        if sound.shape[1]:  # else what waits would grow with blocks of nothing
            self._waiting.append(sound)
        self._waiting_samples += sound.shape[1]
        if self._waiting_samples < self._cell:
            return self._nothing()
        sound = self._taken()
        whole = sound.shape[1] - sound.shape[1] % self._cell
        if whole < sound.shape[1]:
            self._waiting, self._waiting_samples = [sound[:, whole:].copy()], sound.shape[1] - whole
        return self._mixed(sound[:, :whole], self._cell)

    def flush(self) -> Mixed:
        """What is left, less than 50 ms."""
        if not self._waiting_samples:
            return self._nothing()
        rest = self._taken()
        return self._mixed(rest, rest.shape[1])

    def _nothing(self) -> Mixed:
        none = np.zeros((self.channels, 0), np.float32)
        parted = self._parting is not None and self._parting.parted
        return Mixed(none[0], none, 0 if parted else None)

    def _taken(self) -> NDArray[np.float32]:
        waiting = self._waiting
        self._waiting, self._waiting_samples = [], 0
        return waiting[0] if len(waiting) == 1 else np.concatenate(waiting, axis=1)

    def _mixed(self, sound: NDArray[np.float32], cell: int) -> Mixed:
        cells = np.ascontiguousarray(sound).reshape(self.channels, -1, cell)
        total = cells[0].copy()
        for channel in cells[1:]:
            total += channel
        energies = np.einsum("ckn,ckn->ck", cells, cells)
        of_sum = np.einsum("kn,kn->k", total, total)
        cancelled = of_sum < _LEAST_SUM * energies.sum(axis=0)
        mono: NDArray[np.float32] = total / np.float32(self.channels)
        for place in np.flatnonzero(cancelled):
            apart = energies[:, place]
            mono[place] = cells[np.argmax(apart >= _SUBSTANTIAL * apart.max()), place]
        self.cancelled_s += np.count_nonzero(cancelled) * cell / self.rate
        return Mixed(mono.reshape(-1), sound, self._parted_at(energies, of_sum, cell))

    def _parted_at(self, energies: NDArray[np.float32], of_sum: NDArray[np.float32], cell: int) -> int | None:
        """See `Mixed`; of cells with these energies of each channel (c, k) and of their sum (k,)."""
        if self._parting is None:
            return None
        if self._parting.parted:
            return 0
        first, second, total = (np.asarray(each, np.float64) / cell for each in (*energies, of_sum))
        both = (total - first - second) / 2
        for place in range(len(total)):
            self._parting.add(float(first[place]), float(second[place]), float(both[place]))
            if self._parting.parted:
                return (place + 1) * cell
        return None

"""Whether two channels hold one voice or two parties: their correlation over the last seconds of sound.

In: energies of 50 ms cells, one after the other. Out: whether the channels have parted, which they do once and for all.
"""

import math

from bonafide.audio.levels import LOUDEST

SAME = 0.7
"""Correlation from which on, in amount, two channels hold one voice."""
_MEMORY_CELLS = 40
"""Cells with sound after which a cell weighs 1/e of a new one: 2 s."""
_LEAST_CELLS = 10
"""Cells with sound before anything is decided: 0.5 s."""
_FLOOR = 10.0**-5.0
"""Mean square of a cell, -50 dBFS: what is below it in both channels is no sound."""
_BELOW_LOUDEST = 10.0**-4.0
"""Of the loudest cell so far, -40 dB: likewise."""


class TwoParties:
    """Follows the two channels of one recording or stream; holds five numbers.

    The channels hold one voice until their correlation falls under 0.7, upright or inverted; from then on they are
    two parties, whatever follows, so that nothing said later is hidden in a mean.

    Attributes:
        parted: whether they hold two parties.
    """

    def __init__(self) -> None:
        self.parted = False
        self._first = self._second = self._both = self._loudest = 0.0
        self._cells = 0

    def add(self, first: float, second: float, both: float) -> None:
        """Takes the next cell into account.

        Args:
            first: mean square of the first channel, 0 or more.
            second: of the second.
            both: mean of the product of both channels.
        """
        loudest = max(first, second)
        self._loudest = min(max(self._loudest, loudest), LOUDEST**2)
        if self.parted or loudest < max(_FLOOR, _BELOW_LOUDEST * self._loudest):
            return
        fading = math.exp(-1.0 / _MEMORY_CELLS)
        self._first = self._first * fading + first
        self._second = self._second * fading + second
        self._both = self._both * fading + both
        self._cells += 1
        if self._cells >= _LEAST_CELLS:
            self.parted = abs(self._both) < SAME * math.sqrt(self._first * self._second) or not (
                self._first and self._second
            )

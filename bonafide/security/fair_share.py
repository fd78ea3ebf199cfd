"""Places shared by callers, so that a few greedy ones leave some to the others."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bonafide.errors import Overloaded

_FEW = 4
_SPARE_SHARE = 8


class FairShare:
    """Places of which a caller may hold as many as are free: alone half of them, beside a second one a third.

    Those who came before may hold more than that until they give places back. So there is an eighth more for callers
    who hold fewer than 4.

    Args:
        places: number of places.
        what: what a place is for, in the plural, as callers read it.
    """

    def __init__(self, places: int, what: str) -> None:
        self._places = places
        self._what = what
        self._held: Counter[str] = Counter()

    @contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Holds a place for the block.

        Raises:
            Overloaded: there is none for this caller.
        """
        held = self._held[caller]  # of a Counter: adds no entry
        if not self._is_free_for(held):
            raise Overloaded(f"too many {self._what}: {held} of yours are open")
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held -= Counter([caller])

    def _is_free_for(self, held: int) -> bool:
        free = self._places - self._held.total()
        return held < free or (held < _FEW and free > -(self._places // _SPARE_SHARE))

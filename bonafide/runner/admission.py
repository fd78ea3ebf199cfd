"""The bounded number of calls in progress for one model, of which the calls of one key cannot have all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_SPARE_SHARE = 8


class Admission:
    """Slots for calls. While all are in use there is an eighth more, for keys that hold none.

    Args:
        slots: their number.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._held: Counter[str] = Counter()

    @property
    def active(self) -> int:
        """Slots in use, those of the additional eighth included."""
        return self._held.total()

    def admits(self, caller: str) -> bool:
        """Whether there is a slot for this caller; empty: it has no key."""
        if self.active < self.slots:
            return True
        spare = max(1, self.slots // _SPARE_SHARE)
        return bool(caller) and not self._held[caller] and self.active < self.slots + spare

    @contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Holds a slot for the block; see `admits`."""
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held -= Counter([caller])

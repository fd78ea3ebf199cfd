"""What waits for a runner, in an order in which callers who wait beside each other get the same share of it.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996). Only what is taken counts for its caller: calls that gave
up while they waited do not set the next ones back.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Waiting(Generic[T]):
    """What one call waits with.

    Attributes:
        caller: whose call it is.
        weight: its cost.
        number: of its arrival.
        work: what is to be done.
    """

    caller: str
    weight: float
    number: int
    work: T


class FairQueue(Generic[T]):
    """First come, first served among the calls of a caller; among callers, who has taken least goes first.

    Who comes anew stands where the others are: what was taken while nobody else waited is forgotten.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._waiting: dict[str, deque[Waiting[T]]] = {}
        self._taken: dict[str, float] = {}  # weight, of callers
        self._level = 0.0  # what the caller who went last had taken before

    def add(self, work: T, weight: float, caller: str) -> Waiting[T]:
        """Puts a call at its caller's end."""
        if caller not in self._waiting:
            self._waiting[caller] = deque()
            self._taken[caller] = max(self._level, self._taken.get(caller, 0.0))
        entry = Waiting(caller, weight, next(self._numbers), work)
        self._waiting[caller].append(entry)
        return entry

    def __iter__(self) -> Iterator[Waiting[T]]:
        """All in their order, if nothing comes meanwhile."""
        taken, passed = dict(self._taken), Counter[str]()
        left = set(self._waiting)
        while left:
            caller = min(left, key=lambda each: (taken[each], self._waiting[each][passed[each]].number))
            entry = self._waiting[caller][passed[caller]]
            yield entry
            taken[caller] += entry.weight
            passed[caller] += 1
            if passed[caller] == len(self._waiting[caller]):
                left.remove(caller)

    def take(self, entries: list[Waiting[T]]) -> None:
        """Takes the first ones out."""
        for entry in entries:
            self._level = self._taken[entry.caller]
            self._taken[entry.caller] += entry.weight
            self._remove(entry)

    def discard(self, entry: Waiting[T]) -> bool:
        """Takes out a call that gave up; whether it still waited."""
        if entry not in self._waiting.get(entry.caller, ()):
            return False
        self._remove(entry)
        return True

    def _remove(self, entry: Waiting[T]) -> None:
        self._waiting[entry.caller].remove(entry)
        if not self._waiting[entry.caller]:
            del self._waiting[entry.caller]

"""What waits for a model or for memory, in an order in which flows of calls get the same share of it.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996). Only what is taken counts for its flow: calls that gave
up while they waited do not set the next ones back.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Waiting(Generic[T]):
    """What one call waits with.

    Attributes:
        flow: of its call, which stands for all calls of one caller, say.
        weight: its cost.
        number: of its arrival.
        work: what is to be done.
    """

    flow: Hashable
    weight: float
    number: int
    work: T


class FairQueue(Generic[T]):
    """First come, first served within a flow; among flows, that of which least was taken goes first.

    One that comes anew stands where the others are: what was taken while nothing else waited is forgotten.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._waiting: dict[Hashable, deque[Waiting[T]]] = {}
        self._taken: dict[Hashable, float] = {}  # weight, of flows
        self._level = 0.0  # what was taken before of the flow that went last

    def add(self, work: T, weight: float, flow: Hashable) -> Waiting[T]:
        """Puts a call at the end of its flow."""
        if flow not in self._waiting:
            self._waiting[flow] = deque()
            self._taken[flow] = max(self._level, self._taken.get(flow, 0.0))
        entry = Waiting(flow, weight, next(self._numbers), work)
        self._waiting[flow].append(entry)
        return entry

    def __iter__(self) -> Iterator[Waiting[T]]:
        """All in their order, if nothing comes meanwhile."""
        taken, passed = dict(self._taken), Counter[Hashable]()
        left = set(self._waiting)
        while left:
            flow = min(left, key=lambda each: (taken[each], self._waiting[each][passed[each]].number))
            entry = self._waiting[flow][passed[flow]]
            yield entry
            taken[flow] += entry.weight
            passed[flow] += 1
            if passed[flow] == len(self._waiting[flow]):
                left.remove(flow)

    def take(self, entries: list[Waiting[T]]) -> None:
        """Takes the first ones out."""
        for entry in entries:
            self._level = self._taken[entry.flow]
            self._taken[entry.flow] += entry.weight
            self._remove(entry)

    def discard(self, entry: Waiting[T]) -> bool:
        """Takes out a call that gave up; whether it still waited."""
        if entry not in self._waiting.get(entry.flow, ()):
            return False
        self._remove(entry)
        return True

    def _remove(self, entry: Waiting[T]) -> None:
        self._waiting[entry.flow].remove(entry)
        if not self._waiting[entry.flow]:
            del self._waiting[entry.flow]

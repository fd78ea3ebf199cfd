"""Numbered messages that arrive out of order, back in order. Bounded; independent of what the messages are."""

from typing import Generic, TypeVar

Item = TypeVar("Item")


class Reorder(Generic[Item]):
    """Hands messages out by their numbers; what does not come in time is given up.

    Args:
        most: messages that may wait for an earlier one.
        most_bytes: that these may hold.

    Attributes:
        lost: numbers that were given up.
        gaps: runs of such numbers.
        duplicates: messages that came again, or after they had been given up; dropped.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._waiting: dict[int, tuple[Item, int]] = {}
        self._bytes = 0
        self._next: int | None = None
        self.lost = self.gaps = self.duplicates = 0

    def start(self, number: int) -> None:
        """Tells the number of the message after which the first one is due."""
        self._next = number + 1

    def add(self, number: int, item: Item, size: int = 0) -> list[Item]:
        """The messages that are due now, in order.

        Args:
            number: of the message.
            item: the message.
            size: bytes that it holds.
        """
        if self._next is None:
            self._next = number
        if number < self._next or number in self._waiting:
            self.duplicates += 1
            return []
        self._waiting[number] = item, size
        self._bytes += size
        due = self._in_order()
        while len(self._waiting) > self._most or self._bytes > self._most_bytes:
            due += self._skip()
        return due

    def flush(self) -> list[Item]:
        """All that waits, in order; called when nothing comes any more."""
        due: list[Item] = []
        while self._waiting:
            due += self._skip()
        return due

    def _in_order(self) -> list[Item]:
        due: list[Item] = []
        while self._next is not None and self._next in self._waiting:
            item, size = self._waiting.pop(self._next)
            self._bytes -= size
            due.append(item)
            self._next += 1
        return due

    def _skip(self) -> list[Item]:
        """Gives the missing numbers up."""
        first = min(self._waiting)
        if self._next is not None and first > self._next:
            self.lost += first - self._next
            self.gaps += 1
        self._next = first
        return self._in_order()

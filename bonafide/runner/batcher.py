"""Batches the items of many calls to a runner: what is in flight is bounded, and waiting items are sent together.

A request costs a runner and its client 6 to 8 ms of processor time, whatever its size. So few are in flight: one call's
items are sent at once, those of others wait until a request has been answered, and share the next one, up to a full
batch, in an order that is fair among flows of calls. Independent of BentoML and media.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bonafide.fair_queue import FairQueue, Waiting

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class _Call(Generic[Item, Result]):
    """Items of one call."""

    items: Sequence[Item]
    answers: "asyncio.Future[list[Result]]"


class Batcher(Generic[Item, Result]):
    """First come, first served within a flow; a cancelled call's items are not sent.

    Args:
        send: returns one result for each item. Its errors are raised in every call whose items were in the request.
        weigh: cost of an item, in the unit of `size`.
        size: maximum cost of one request, unless a single call has more.
        ahead: requests in flight at most. Together they cost no more than as many full ones: a larger request waits
            until nothing else is in flight.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[list[Result]]],
        weigh: Callable[[Item], float],
        size: float,
        ahead: int,
    ) -> None:
        self._send = send
        self._weigh = weigh
        self._size = size
        self._ahead = ahead
        self._waiting = FairQueue[_Call[Item, Result]]()
        self._in_flight: dict[asyncio.Task[None], float] = {}

    async def submit(self, items: Sequence[Item], flow: Hashable = "") -> list[Result]:
        """The result of `send` for each item.

        Args:
            items: of one call.
            flow: of the call, see `FairQueue`.
        """
        call = _Call[Item, Result](items, asyncio.get_running_loop().create_future())
        waiting = self._waiting.add(call, sum(map(self._weigh, items)), flow)
        self._send_on()
        try:
            return await call.answers
        except asyncio.CancelledError:
            if self._waiting.discard(waiting):
                self._send_on()
            raise

    def resize(self, size: float, ahead: int) -> None:
        """Changes both; requests in flight are not affected."""
        self._size, self._ahead = size, ahead
        self._send_on()

    def _send_on(self) -> None:
        while len(self._in_flight) < self._ahead:
            together: list[Waiting[_Call[Item, Result]]] = []
            weight = 0.0
            for waiting in self._waiting:
                if together and weight + waiting.weight > self._size:
                    break
                together.append(waiting)
                weight += waiting.weight
            if not together or (self._in_flight and sum(self._in_flight.values()) + weight > self._ahead * self._size):
                return
            self._waiting.take(together)
            self._begin([waiting.work for waiting in together], weight)

    def _begin(self, calls: "list[_Call[Item, Result]]", weight: float) -> None:
        """Sends a request. It is never cancelled: a runner computes it anyway, and has no capacity until then."""
        request = asyncio.create_task(self._send_batch(calls))
        self._in_flight[request] = weight
        request.add_done_callback(self._ended)

    def _ended(self, request: "asyncio.Task[None]") -> None:
        del self._in_flight[request]
        self._send_on()

    async def _send_batch(self, calls: "list[_Call[Item, Result]]") -> None:
        try:
            answers = iter(await self._send([item for call in calls for item in call.items]))
            for call in calls:
                own = [next(answers) for _ in call.items]
                if not call.answers.done():
                    call.answers.set_result(own)
        except Exception as error:
            for call in calls:
                if not call.answers.done():
                    call.answers.set_exception(error)

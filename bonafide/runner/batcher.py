"""Items of many calls on their way to a runner: a few are let in at a time, and those that wait then go together.

Each request to a runner costs it several milliseconds, whatever it holds. While there is room every call's items go at
once and by themselves; under load as many requests are saved as batches can be filled. Knows neither BentoML nor media.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[Item, Result]):
    """Items of one call."""

    items: Sequence[Item]
    weight: float
    answers: "asyncio.Future[list[Result]]"


class Batcher(Generic[Item, Result]):
    """First come, first served; a cancelled caller's items are not sent.

    Args:
        send: gives one answer for each item. What it raises goes to every call whose items were sent with it.
        weigh: what an item costs; of the others' unit.
        size: most that is sent together, unless one call brings more.
        room: most that is on its way at one time; a request for more waits until it is alone.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[list[Result]]],
        weigh: Callable[[Item], float],
        size: float,
        room: float,
    ) -> None:
        self._send = send
        self._weigh = weigh
        self._size = size
        self._room = room
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._on_their_way: dict[asyncio.Task[None], float] = {}

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """What `send` says of each item."""
        weight = sum(map(self._weigh, items))
        waiting = _Waiting[Item, Result](items, weight, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._send_on()
        try:
            return await waiting.answers
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self._send_on()
            raise

    def resize(self, room: float) -> None:
        """Changes the room; what is on its way stays so."""
        self._room = room
        self._send_on()

    def _send_on(self) -> None:
        while self._waiting:
            calls, weight = 0, 0.0
            for waiting in self._waiting:
                if calls and weight + waiting.weight > self._size:
                    break
                calls, weight = calls + 1, weight + waiting.weight
            if self._on_their_way and sum(self._on_their_way.values()) + weight > self._room:
                return
            self._begin([self._waiting.popleft() for _ in range(calls)], weight)

    def _begin(self, calls: "list[_Waiting[Item, Result]]", weight: float) -> None:
        """A request is never given up: a runner computes what it has got, and until then there is no room for more."""
        request = asyncio.create_task(self._ask(calls))
        self._on_their_way[request] = weight
        request.add_done_callback(self._ended)

    def _ended(self, request: "asyncio.Task[None]") -> None:
        del self._on_their_way[request]
        self._send_on()

    async def _ask(self, calls: "list[_Waiting[Item, Result]]") -> None:
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

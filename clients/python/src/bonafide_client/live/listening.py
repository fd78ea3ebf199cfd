"""Windows on their way to whoever iterates over them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from ..errors import BonafideError
from .results import LiveWindow


class Results(AsyncIterator[LiveWindow]):
    """Windows as they are judged, until the session ends; made by `AudioDetectionClient.results`.

    Args:
        leave: called when no more windows are wanted.
    """

    def __init__(self, leave: "Callable[[Results], object]") -> None:
        self._queue: asyncio.Queue[LiveWindow | None] = asyncio.Queue()
        self._leave = leave
        self._error: BonafideError | None = None

    async def __anext__(self) -> LiveWindow:
        """Waits for the next window. Raises BonafideError when the session is lost."""
        if (window := await self._queue.get()) is not None:
            return window
        self._queue.put_nowait(None)  # the end stays the end
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    def add(self, windows: Iterable[LiveWindow]) -> None:
        """Some were judged."""
        for window in windows:
            self._queue.put_nowait(window)

    def finish(self, error: BonafideError | None = None) -> None:
        """No more will come, and perhaps why."""
        self._error = self._error or error
        self._queue.put_nowait(None)
        self._leave(self)

    def close(self) -> None:
        """No more are wanted."""
        self.finish()

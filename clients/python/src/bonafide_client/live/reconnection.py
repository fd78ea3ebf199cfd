"""How a broken connection is opened again: with growing pauses, and not for longer than the caller allows."""

import asyncio
import random

from websockets.asyncio.client import ClientConnection

from ..errors import BonafideError, Unavailable
from .channel import Channel

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 5.0
_MOST_JITTER = 0.5
"""Clients of a service that restarts do not all come back in the same moment: a pause may be longer by this share."""


class Reconnection:
    """Looks for a lost service. Time and pauses begin anew when audio has been judged, not when a connection stands.

    Args:
        channel: where the service is.
        within_s: how long it is looked for, over all connections on which no audio was judged.
    """

    def __init__(self, channel: Channel, within_s: float) -> None:
        self._channel = channel
        self._within_s = within_s
        self.judged()

    def judged(self) -> None:
        """Audio got its result: the service is there."""
        self._left_s, self._wait_s = self._within_s, _FIRST_WAIT_S

    async def open(self) -> ClientConnection:
        """Connects, again and again, until the time is used up.

        Raises:
            BonafideError: why the last attempt failed, or one after which no other can succeed or would be too late.
        """
        clock = asyncio.get_running_loop().time
        error: BonafideError = Unavailable(f"the connection to {self._channel.url} broke, and no audio is judged")
        while self._left_s > 0 and (error.retry_after_s or 0.0) <= self._left_s:
            start_s = clock()
            await asyncio.sleep(self._pause_s(error.retry_after_s or 0.0))
            try:
                return await self._channel.open()
            except BonafideError as failure:
                if not failure.retryable:
                    raise
                error = failure
            finally:
                self._left_s -= clock() - start_s
        raise error

    def _pause_s(self, least_s: float) -> float:
        """Never shorter than the service asks for; the last one ends with the time."""
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, _LONGEST_WAIT_S)
        return min(max(wait_s, least_s) * random.uniform(1.0, 1.0 + _MOST_JITTER), self._left_s)  # noqa: S311

"""One call: its ids in the logs, and its deadline. Created by the transports only."""

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from bonafide.errors import DeadlineExceeded

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_TASK_ID_LENGTH = 128


def printable_id(text: str) -> str:
    """`text` without non-printable characters, truncated to 128."""
    return "".join(char for char in text[:_TASK_ID_LENGTH] if char.isprintable())


@dataclass(frozen=True)
class Call:
    """Identity and deadline of a call.

    Attributes:
        deadline: `time.monotonic()` value after which the caller no longer waits for the response.
        request_id: identifies the call in the log; the caller's own if it sent a valid one.
        task_id: the caller's id of the task, or empty.
    """

    deadline: float
    request_id: str
    task_id: str = ""

    @classmethod
    def within(cls, timeout_s: float, *, request_id: str | None = None, task_id: str = "") -> "Call":
        """A call that may take `timeout_s` seconds from now.

        Args:
            timeout_s: seconds.
            request_id: the caller's; used if it is safe to log, else a new one is generated.
            task_id: the caller's; see `printable_id`.
        """
        usable = request_id is not None and _REQUEST_ID.fullmatch(request_id)
        return cls(
            time.monotonic() + timeout_s,
            request_id if usable and request_id else uuid.uuid4().hex,
            printable_id(task_id),
        )

    def lasting(self, timeout_s: float) -> "Call":
        """The same call with a deadline `timeout_s` seconds from now."""
        return replace(self, deadline=time.monotonic() + timeout_s)

    def of_task(self, task_id: str) -> "Call":
        """The same call with the caller's id of the task, see `printable_id`."""
        return replace(self, task_id=printable_id(task_id))

    @property
    def remaining_s(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.deadline - time.monotonic())

    @asynccontextmanager
    async def time_limit(self) -> AsyncIterator[None]:
        """Ends the block with `DeadlineExceeded` at the deadline. A `TimeoutError` from inside passes unchanged."""
        timeout = asyncio.timeout(self.remaining_s)
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if timeout.expired():
                raise DeadlineExceeded("the deadline passed before the answer was ready") from error
            raise

"""A bound on the bytes of all recordings held at one time, whatever their source; released when their call ends."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from bonafide.errors import Overloaded, TooLarge
from bonafide.settings import Settings
from bonafide.weighted_semaphore import WeightedSemaphore

_FULL = "too many bytes of other uploads are in progress"


def declared_bytes(content_length: str) -> int:
    """What an upload says it has; 0 where it says nothing. Of absurdly many digits the first tell enough."""
    digits = content_length.lstrip("0")
    return int(digits[:20]) if digits.isdecimal() else 0


class ByteBudget:
    """Shared by everything that takes whole files into memory.

    Args:
        total: bytes that may be held at one time.
    """

    def __init__(self, total: int) -> None:
        self._semaphore = WeightedSemaphore(total)

    @classmethod
    def from_settings(cls, settings: Settings) -> "ByteBudget":
        """Built from the settings.

        Raises:
            ValueError: the largest file that is allowed could never be held, and would always be refused as overloaded.
        """
        for name in ("max_audio_bytes", "max_image_bytes"):
            if settings.max_inflight_bytes < getattr(settings, name):
                raise ValueError(
                    f"BONAFIDE_MAX_INFLIGHT_BYTES must be at least BONAFIDE_{name.upper()}, or none that large is taken"
                )
        return cls(settings.max_inflight_bytes)

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Waits for capacity for a file whose size is known before its bytes arrive."""
        weight = await self._semaphore.acquire(size)
        try:
            yield
        finally:
            self._semaphore.release(weight)

    @contextmanager
    def keep(self, size: int) -> Iterator[None]:
        """Counts bytes that have arrived already; never waits.

        Raises:
            Overloaded: other files hold the budget.
        """
        if not self._semaphore.try_acquire(size):
            raise Overloaded(_FULL)
        try:
            yield
        finally:
            self._semaphore.release(size)

    @asynccontextmanager
    async def collect(self, parts: AsyncIterable[bytes], limit: int, declared: int = 0) -> AsyncIterator[bytearray]:
        """Collects an upload as it arrives; never waits, which would only accumulate incomplete uploads.

        The bytes are yielded in the array that they were collected in, not copied. Whoever hands them on may empty it.

        Args:
            parts: the upload.
            limit: most bytes of this upload.
            declared: size that the caller declared, to refuse early; the bytes received decide.

        Raises:
            TooLarge: over `limit`.
            Overloaded: other files hold the budget.
        """
        if declared > limit:
            raise TooLarge(f"{declared} bytes are over the limit of {limit}")
        held = 0
        body = bytearray()
        try:
            async for part in parts:
                if len(body) + len(part) > limit:
                    raise TooLarge(f"the upload is over the limit of {limit} bytes")
                if not self._semaphore.try_acquire(len(part)):
                    raise Overloaded(_FULL)
                held += len(part)
                body += part
            yield body
        finally:
            self._semaphore.release(held)

"""A bound on the bytes of all recordings held at one time, whatever their source; released when their call ends."""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from bonafide.errors import Overloaded, TooLarge
from bonafide.settings import Settings
from bonafide.weighted_semaphore import WeightedSemaphore

_FULL = "too many bytes of other uploads are in progress"
_TIMES_FREE = 4
"""One key may hold so many times the bytes that it leaves free: alone four fifths of them."""


def declared_bytes(content_length: str) -> int:
    """What an upload says it has; 0 where it says nothing. Of absurdly many digits the first tell enough."""
    digits = content_length.lstrip("0")
    return int(digits[:20]) if digits.isdecimal() else 0


class ByteBudget:
    """Shared by everything that takes whole files into memory.

    Who sends slowly holds what has come for as long as a call may last, so uploads of one key leave room to the others;
    a single one may have all.

    Args:
        total: bytes that may be held at one time.
    """

    def __init__(self, total: int) -> None:
        self._semaphore = WeightedSemaphore(total)
        self._uploaded: Counter[str] = Counter()  # bytes that callers hold, by their keys

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
    def keep(self, size: int, caller: str = "") -> Iterator[None]:
        """Counts bytes that have arrived already; never waits.

        Args:
            size: of them.
            caller: who has sent them; empty: has no key.

        Raises:
            Overloaded: other files hold the budget.
        """
        with self._upload(caller) as take:
            take(size)
            yield

    @asynccontextmanager
    async def collect(
        self, parts: AsyncIterable[bytes], limit: int, declared: int = 0, caller: str = ""
    ) -> AsyncIterator[bytearray]:
        """Collects an upload as it arrives; never waits, which would only accumulate incomplete uploads.

        The bytes are yielded in the array that they were collected in, not copied. Whoever hands them on may empty it.

        Args:
            parts: the upload.
            limit: most bytes of this upload.
            declared: size that the caller declared, to refuse early; the bytes received decide.
            caller: who sends it; empty: has no key.

        Raises:
            TooLarge: over `limit`.
            Overloaded: other files hold the budget.
        """
        if declared > limit:
            raise TooLarge(f"{declared} bytes are over the limit of {limit}")
        body = bytearray()
        with self._upload(caller) as take:
            async for part in parts:
                if len(body) + len(part) > limit:
                    raise TooLarge(f"the upload is over the limit of {limit} bytes")
                take(len(part))
                body += part
            yield body

    @contextmanager
    def _upload(self, caller: str) -> Iterator[Callable[[int], None]]:
        """What takes bytes for one upload, or raises Overloaded; they are given back at the end of the block."""
        held = 0

        def take(size: int) -> None:
            nonlocal held
            theirs = self._uploaded[caller]
            if caller and theirs > held and theirs + size > _TIMES_FREE * (self._semaphore.free - size):
                raise Overloaded("your uploads in progress have too many bytes")
            if not self._semaphore.try_acquire(size):
                raise Overloaded(_FULL)
            held += size
            self._uploaded[caller] += size

        try:
            yield take
        finally:
            self._semaphore.release(held)
            self._uploaded -= Counter({caller: held})

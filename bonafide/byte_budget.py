"""A bound on the bytes of all recordings held at one time, whatever their source; released when their call ends."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

from bonafide.errors import Overloaded, TooLarge
from bonafide.fair_queue import FairQueue
from bonafide.settings import Settings

_FULL = "too many bytes of other uploads are in progress"
_TIMES_FREE_UPLOADED, _TIMES_FREE_STORED = 4, 3
"""A caller may hold so many times the bytes that are left free: alone four fifths of them, or three quarters."""


def declared_bytes(content_length: str) -> int:
    """What an upload says it has; 0 where it says nothing. Of absurdly many digits the first tell enough."""
    digits = content_length.lstrip("0")
    return int(digits[:20]) if digits.isdecimal() else 0


class _Stored(NamedTuple):
    """A stored file, and what is set when there is room for it."""

    size: int
    turn: "asyncio.Future[None]"


class ByteBudget:
    """Shared by everything that takes whole files into memory.

    Who sends slowly holds what has come for as long as a call may last, and of a stored recording of hours the analysis
    takes minutes. So uploads of one key leave room to the others, stored files of one key to those of others and to
    uploads, and uploads to the stored file whose turn is next; a single file may have all.

    Args:
        total: bytes that may be held at one time.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._uploaded: Counter[Hashable] = Counter()  # bytes that callers hold, by their keys
        self._stored: Counter[Hashable] = Counter()  # likewise
        self._waiting = FairQueue[_Stored]()

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

    @property
    def _free(self) -> int:
        return self._total - self._uploaded.total() - self._stored.total()

    @asynccontextmanager
    async def hold(self, size: int, caller: str = "") -> AsyncIterator[None]:
        """Waits for capacity for a stored file, whose size is known before its bytes arrive.

        Args:
            size: of it.
            caller: who wants it judged; empty: has no key.
        """
        wanted = _Stored(min(size, self._total), asyncio.get_running_loop().create_future())
        entry = self._waiting.add(wanted, wanted.size, caller)
        self._let_in()
        try:
            await wanted.turn
            yield
        finally:
            if not self._waiting.discard(entry):
                self._stored -= Counter({caller: wanted.size})
            self._let_in()

    def _let_in(self) -> None:
        """Those who wait and now have room, in their order; nobody waits for the share of another."""
        over_their_share = set()
        for entry in list(self._waiting):
            size, turn = entry.work
            if size > self._free:
                return
            held = self._stored[entry.flow]
            if held and held + size > _TIMES_FREE_STORED * (self._free - size):
                over_their_share.add(entry.flow)
            if entry.flow not in over_their_share:
                self._waiting.take([entry])
                self._stored[entry.flow] += size
                if not turn.done():  # else it was cancelled just now, and gives back
                    turn.set_result(None)

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
            if caller and theirs > held and theirs + size > _TIMES_FREE_UPLOADED * (self._free - size):
                raise Overloaded("your uploads in progress have too many bytes")
            next_stored = next((entry.work.size for entry in self._waiting), 0)
            if size > self._free or (size and self._uploaded.total() + size > self._total - next_stored):
                raise Overloaded(_FULL)
            held += size
            self._uploaded[caller] += size

        try:
            yield take
        finally:
            self._uploaded -= Counter({caller: held})
            self._let_in()

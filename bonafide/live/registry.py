"""All live sessions of this process: the number of open ones is bounded, and all are ended when the service drains."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from typing import Protocol

from bonafide.calls import Call
from bonafide.decoders.pool import DecoderPool
from bonafide.errors import Overloaded, Unavailable
from bonafide.evidence.judgement import Records
from bonafide.live.scoring import StreamObserver
from bonafide.live.stream import LiveStream
from bonafide.runner.runner import Runner
from bonafide.settings import Settings
from bonafide.shadow.voice import VoiceShadow
from bonafide.verdict import WindowScore

_RETRY_AFTER_S = 5.0


class LiveObserver(StreamObserver, Protocol):
    """Receives measurements of sessions and their windows."""

    def live_sessions(self, active: int) -> None:
        """`active` sessions are open now."""


class LiveSessions:
    """Opens sessions and tracks the open ones.

    Args:
        runner: scores their windows; sessions do not count in its limit on calls.
        pool: resamples.
        decoders: processes for containers, each in one of its own.
        observer: receives measurements.
        shadow: a second model that scores the same windows after the session.
        records: where verdicts are recorded before they are answered; None: nowhere.
    """

    def __init__(
        self,
        *,
        runner: Runner[WindowScore],
        pool: Executor,
        decoders: DecoderPool,
        settings: Settings,
        observer: LiveObserver,
        shadow: VoiceShadow | None = None,
        records: Records | None = None,
    ) -> None:
        self._runner = runner
        self._pool = pool
        self._decoders = decoders
        self._settings = settings
        self._observer = observer
        self._shadow = shadow
        self._records = records
        self._open: dict[LiveStream, str] = {}
        self._by_caller: Counter[str] = Counter()
        self._draining = False
        self._all_closed = asyncio.Event()

    @property
    def active(self) -> int:
        """Sessions that are open now."""
        return len(self._open)

    def of(self, caller: str) -> list[LiveStream]:
        """The open sessions of a caller, oldest first; empty: of all whose callers need no key."""
        return [stream for stream, owner in self._open.items() if owner == caller]

    @property
    def full(self) -> bool:
        """Whether another session would be refused, whoever the caller is."""
        return self._draining or len(self._open) >= self._settings.live_max_sessions

    @contextmanager
    def open(self, call: Call, caller: str = "") -> Iterator[LiveStream]:
        """Opens a session for the duration of the block.

        Args:
            call: identifies the session in the log.
            caller: name of the API key, for its own limit; empty where no key is required.

        Raises:
            Unavailable: the service is shutting down, or the model is not available.
            Overloaded: too many sessions, in all or of this caller.
        """
        if self._draining:
            raise Unavailable("the service is going away")
        if self.full:
            raise Overloaded(f"{self.active} live sessions are open", _RETRY_AFTER_S)
        if caller and self._by_caller[caller] >= self._settings.live_max_sessions_per_caller:
            raise Overloaded(f"{self._by_caller[caller]} live sessions of yours are open", _RETRY_AFTER_S)
        stream = LiveStream(
            runner=self._runner,
            pool=self._pool,
            decoders=self._decoders,
            settings=self._settings,
            observer=self._observer,
            shadow=self._shadow,
            call=call,
            records=self._records,
        )
        self._open[stream] = caller
        self._by_caller[caller] += 1
        self._observer.live_sessions(self.active)
        try:
            yield stream
        finally:
            del self._open[stream]
            self._by_caller -= Counter([caller])
            self._observer.live_sessions(self.active)
            if self._draining and not self._open:
                self._all_closed.set()

    async def drain(self, within_s: float) -> None:
        """Refuses new sessions, ends the open ones, and waits for them, `within_s` seconds at most."""
        self._draining = True
        for stream in self._open:
            stream.drain()
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._all_closed.wait()

"""The live client: a stream of audio in, verdicts out, over as many connections as the network makes necessary."""

import asyncio
import contextlib
import logging
import uuid
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from os import PathLike
from types import TracebackType

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..connection import Tls
from ..errors import BonafideError, Unavailable
from .channel import Channel, received
from .listening import Results
from .reconnection import Reconnection
from .results import LiveSummary, LiveWindow
from .samples import SAMPLE_BYTES, Audio, float32_bytes
from .session import Answer, Frame, LiveSession, Request
from .sources import file_blocks

_FRAME_BYTES = 256 * 1024
_MOST_AHEAD_S = 10.0
"""Audio that may be on its way without an answer; who sends more waits."""

_log = logging.getLogger(__name__)


class AudioDetectionClient:
    """Judges speech while it is spoken. One client is one stream; use as an async context manager, or `connect`.

    A connection that breaks is opened again, with growing pauses; audio that was not judged yet is sent again, and
    windows are numbered on. Belongs to the event loop in which it connects.

    Args:
        url: of the service's `/ws/detect`; default `BONAFIDE_LIVE_URL`, else `ws://127.0.0.1:3000/ws/detect`.
        api_key: default `BONAFIDE_API_KEY`.
        tls: for `wss`: roots to trust, and a client certificate.
        key_in_clear: send the key over `ws` to another machine too, where something else encrypts the way.
        client_id: what this client calls itself in the service's log.
        chunk_duration: seconds of a window, 0.25 to 4; shorter ones answer sooner and know less.
        overlap_duration: seconds that neighbouring windows share.
        channels: that are interleaved in the samples; with more than one, those of a file are sent as they are.
        channel_mode: which are judged: "auto" (those of a call apart), "mix", "separate", or the number of one.
        reconnect_s: how long a lost service is looked for, in all, until it judges audio again.
        answer_s: how long an answer may take before the connection counts as broken.

    Raises:
        ValueError: an address, a key or a TLS file that can never work, or a key that would travel unencrypted.
        OSError: a file of `tls` cannot be read.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        tls: Tls | None = None,
        key_in_clear: bool = False,
        client_id: str | None = None,
        chunk_duration: float | None = None,
        overlap_duration: float | None = None,
        channels: int = 1,
        channel_mode: str | int = "auto",
        reconnect_s: float = 60.0,
        answer_s: float = 30.0,
    ) -> None:
        if channels < 1:
            raise ValueError("at least one channel")
        windowing: dict[str, float | str | None] = {
            "chunk_duration": chunk_duration,
            "overlap_duration": overlap_duration,
            "channels": channels if channels > 1 else None,
            "channel_mode": None if str(channel_mode) == "auto" else str(channel_mode),
        }
        self._channels = channels
        self._channel = Channel(url, api_key, tls, key_in_clear=key_in_clear)
        self._session = LiveSession(
            client_id or f"python-{uuid.uuid4().hex[:12]}",
            {name: value for name, value in windowing.items() if value is not None},
        )
        self._reconnection = Reconnection(self._channel, reconnect_s)
        self._answer_s = answer_s
        self._watch: asyncio.TimerHandle | None = None  # while an answer is awaited
        self._connecting = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._connection: ClientConnection | None = None
        self._outbox: asyncio.Queue[Frame] | None = None  # while connected
        self._answered = asyncio.Event()
        self._results: set[Results] = set()
        self._end: BonafideError | None = None
        """Why nothing can be asked any more."""

    async def __aenter__(self) -> "AudioDetectionClient":
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def connect(self) -> None:
        """Connects, unless it is connected.

        Raises:
            BonafideError: the service is not there, or refuses; or the session has ended, and another client is needed.
        """
        async with self._connecting:
            self._require_open()
            if self._running is not None:
                return
            connection = await self._channel.open()
            try:
                self._require_open()  # `disconnect` may have come meanwhile
            except BonafideError:
                await connection.close()
                raise
            self._running = asyncio.create_task(self._run(connection))

    async def disconnect(self) -> None:
        """Closes the connection; calls that wait for an answer fail. `end` asks for the summary first."""
        self._stop(Unavailable("the client has disconnected"), failed=False)
        if self._running is not None:
            if self._connection is not None:
                await self._connection.close()
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def send_audio_chunk(self, audio: Audio, sample_rate: int = 16_000) -> LiveWindow | None:
        """Sends some audio, and returns the last window that it completed; None when it completed none.

        Args:
            audio: samples of any length; see `Audio`. Of several channels interleaved, or a buffer (n, channels).
            sample_rate: 8,000 to 192,000 Hz.

        Raises:
            BonafideError: the service could not judge it, or is lost.
            ValueError: no such samples.
        """
        window = None
        for answer in await asyncio.gather(*await self._send(float32_bytes(audio, self._channels), sample_rate)):
            window = answer.result or window
        return window

    async def send_audio_file(self, path: str | PathLike[str], *, realtime: bool = False) -> tuple[LiveWindow, ...]:
        """Sends the audio of a file, judges what is left of it at the end, and returns all its windows.

        Args:
            path: anything that FFmpeg decodes; needs `pip install 'bonafide-client[files]'`.
            realtime: send it as fast as it would play, not as fast as the service takes it.

        Raises:
            BonafideError: the service could not judge it, or is lost; `UnreadableMedia`: it is no recording.
            OSError: the file cannot be opened.
        """
        return tuple(
            [window async for window in self.stream(file_blocks(path, realtime=realtime, channels=self._channels))]
        )

    async def stream(self, blocks: AsyncIterable[tuple[Audio, int]]) -> AsyncGenerator[LiveWindow, None]:
        """Sends audio as it comes, and yields its windows as they are judged, up to the last that `blocks` fills.

        Args:
            blocks: samples, as for `send_audio_chunk`, with their rate: `microphone()`, `file_blocks(path)`, or yours.
        """
        await self.connect()
        results = self.results()
        sending = asyncio.create_task(self._send_all(blocks, results))
        try:
            async for window in results:
                yield window
            await sending
        finally:
            results.close()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def results(self) -> Results:
        """Every window that is judged from now on, whoever sends; ends with the session.

        Windows wait for who iterates, so leave the iterator with `close` if you stop before its end.
        """
        results = Results(self._results.discard)
        self._results.add(results)
        if self._end is not None:
            results.finish()
        return results

    async def flush(self) -> LiveWindow | None:
        """Judges what the service holds although it is less than a window; None when it is too short."""
        answer = await self._ask(Request("flush", self._waiter()))
        return answer.result

    async def end(self) -> LiveSummary:
        """Judges the rest, ends the session, and returns the verdict on all of it."""
        answer = await self._ask(Request("end", self._waiter()))
        await self.disconnect()
        assert answer.summary is not None  # noqa: S101 - the session lets no other answer through
        return answer.summary

    async def _send_all(self, blocks: AsyncIterable[tuple[Audio, int]], results: Results) -> None:
        waiting: deque[asyncio.Future[Answer]] = deque()
        try:
            async for audio, sample_rate in blocks:
                waiting += await self._send(float32_bytes(audio, self._channels), sample_rate)
                while waiting and waiting[0].done():
                    _settle(waiting.popleft())
            while waiting:
                await asyncio.wait((waiting[0],))
                _settle(waiting.popleft())
            await self.flush()
        finally:
            results.finish()

    async def _send(self, audio: bytes, sample_rate: int) -> list[asyncio.Future[Answer]]:
        """Sends audio, frame by frame; returns the answers to come."""
        waiting = []
        whole = _FRAME_BYTES - _FRAME_BYTES % (SAMPLE_BYTES * self._channels)
        for start in range(0, len(audio), whole):
            while self._session.unanswered_s > _MOST_AHEAD_S and self._end is None:
                self._answered.clear()
                await self._answered.wait()
            part = audio[start : start + whole]
            waiting.append(self._ask(Request("audio", self._waiter(), part, sample_rate, self._channels)))
        return waiting

    def _waiter(self) -> asyncio.Future[Answer]:
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiter.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        return waiter

    def _ask(self, request: Request) -> asyncio.Future[Answer]:
        """Sends a request now, or when the connection stands again; returns its answer to come."""
        if self._running is None:
            raise Unavailable("not connected: `connect` first")
        self._require_open()
        frames = self._session.ask(request)
        if self._outbox is not None:
            for frame in frames:
                self._outbox.put_nowait(frame)
            self._expect()
        waiter: asyncio.Future[Answer] = request.waiter
        return waiter

    def _require_open(self) -> None:
        if self._end is not None:
            raise self._end

    async def _run(self, connection: ClientConnection) -> None:
        try:
            while self._end is None:
                await self._serve(connection)
                if self._end is None:
                    _log.warning("the connection to %s broke; connecting again", self._channel.url)
                    connection = await self._reconnection.open()
                    _log.info("connected again; audio that was not judged yet is sent again")
        except BonafideError as error:
            self._stop(error, failed=True)

    async def _serve(self, connection: ClientConnection) -> None:
        """Sends and receives on one connection until it is gone."""
        self._connection, outbox = connection, asyncio.Queue[Frame]()
        for frame in self._session.opened():
            outbox.put_nowait(frame)
        self._outbox = outbox
        self._expect()
        writing = asyncio.create_task(_write(connection, outbox))
        try:
            async with aclosing(received(connection)) as frames:
                async for frame in frames:
                    self._take(self._session.received(frame))
        finally:
            self._outbox = None
            self._stop_watch()
            writing.cancel()
            await asyncio.gather(writing, connection.close(), return_exceptions=True)

    def _expect(self) -> None:
        """Watches for an answer, if one is awaited."""
        if self._watch is None and self._session.awaits_an_answer:
            self._watch = asyncio.get_running_loop().call_later(self._answer_s, self._give_up)

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _give_up(self) -> None:
        """Breaks a connection over which nothing comes; whoever receives notices."""
        _log.warning("no answer came for %g s", self._answer_s)
        if self._connection is not None:
            self._connection.transport.abort()

    def _take(self, answer: Answer | None) -> None:
        if answer is None:
            return
        self._stop_watch()
        self._expect()
        self._answered.set()
        if answer.windows:
            self._reconnection.judged()
        if answer.unjudged:
            _log.warning("some audio was not judged: %s", answer.unjudged)
        for results in self._results:
            results.add(answer.windows)
        if answer.summary is not None:
            self._stop(Unavailable("the session has ended"), failed=False)
        if (waiter := answer.request.waiter) is None or waiter.done():
            return
        if answer.error is not None:
            waiter.set_exception(answer.error)
        else:
            waiter.set_result(answer)

    def _stop(self, reason: BonafideError, *, failed: bool) -> None:
        """Ends everything that waits; the first reason counts."""
        if self._end is not None:
            return
        self._end = reason
        for waiter in self._session.waiters():
            if not waiter.done():
                waiter.set_exception(reason)
        for results in list(self._results):
            results.finish(reason if failed else None)
        self._answered.set()


async def _write(connection: ClientConnection, outbox: "asyncio.Queue[Frame]") -> None:
    with contextlib.suppress(ConnectionClosed):  # whoever receives notices, and all that is unanswered is sent again
        while True:
            await connection.send(await outbox.get())


def _settle(answer: "asyncio.Future[Answer]") -> None:
    """Raises what no later audio can make good; a moment that was not judged is only told."""
    try:
        answer.result()
    except BonafideError as error:
        if not error.retryable:
            raise
        _log.warning("some audio was not judged: %s: %s", error.code, error)

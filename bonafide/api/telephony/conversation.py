"""The one core of all telephony: a protocol's events to a live session, its verdicts to the call and the protocol."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Protocol

from bonafide.api.telephony.call_verdict import call_verdict
from bonafide.api.telephony.events import (
    Begin,
    Content,
    Ended,
    Event,
    Make,
    Media,
    Notes,
    PhoneProtocol,
    Rate,
    Reply,
)
from bonafide.app import App
from bonafide.errors import BonafideError, InvalidRequest, TooLarge
from bonafide.live.input_decoder import AudioInputDecoder
from bonafide.live.messages import NOTHING, Audio, Input, QueuedReply, Refused, WindowResults
from bonafide.live.phone_calls import PhoneCall, PhoneVerdict
from bonafide.live.scoring import SlowReader
from bonafide.live.session import Ending
from bonafide.live.stream import LiveStream
from bonafide.live.summary import LiveSummary
from bonafide.telemetry import bind_task

_WINDOW_S = 4.0
"""The longest window of the models: nothing on the call depends on an early result."""
_CLOSE_TIMEOUT_S = 5.0
"""How long the peer may take to close, and an error may take to be sent."""


class Gone(Exception):
    """The peer cannot be reached any more."""


class Wire(Protocol):
    """A connection."""

    async def receive(self) -> Content | None:
        """What has arrived next; None: the peer has ended the connection.

        Raises:
            TooLarge: a message of more bytes than are allowed.
        """

    async def send(self, content: Content) -> None:
        """Raises Gone."""


class PhoneConversation:
    """One call.

    Args:
        wire: the connection.
        protocol: what is spoken on it.
        stream: the live session.
        app: the use cases.
    """

    def __init__(self, wire: Wire, protocol: PhoneProtocol, stream: LiveStream, app: App) -> None:
        self._wire = wire
        self._protocol = protocol
        self._stream = stream
        self._app = app
        self._intake = AudioInputDecoder(stream)
        self._call: PhoneCall | None = None
        self._events: Iterator[Event] = iter(())
        self._sending = asyncio.Lock()
        self._is_gone = False
        self._error: Exception | None = None

    async def run(self) -> LiveSummary:
        """Serves the call to its end; one that is cut off, or that an error ends, has a verdict too.

        Raises:
            BonafideError: the call was refused, which the peer has been told as far as the protocol can.
        """
        try:
            summary = await self._judged()
        except BonafideError as error:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._send(self._protocol.refusal(error))
            raise
        with suppress(TimeoutError, BonafideError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._answer_until_closed()
        return summary

    async def _judged(self) -> LiveSummary:
        """Judges the call to its end, and raises the error that has ended it."""
        try:
            summary = await self._stream.run(self._inputs(), self._output, self._rest, self._broken)
            if self._error is not None:
                raise self._error
        except (Exception, asyncio.CancelledError) as error:
            if self._call is not None and not self._call.over:
                # A drain gives up on who is not judged in time.
                is_cut = isinstance(error, asyncio.CancelledError)
                await self._call.break_off(Ending.GOING_AWAY if is_cut else Ending.ERROR)
            raise
        finally:
            if self._call is not None:
                self._call.close()
        return summary

    def _broken(self, error: Exception) -> None:
        """What has come of a call is judged before the error is raised."""
        if isinstance(error, SlowReader):
            self._is_gone = True  # for what is sent
        if self._call is None:
            raise error
        self._error = self._error or error

    async def _inputs(self) -> AsyncGenerator[Input, None]:
        while (content := await self._wire.receive()) is not None:
            is_heard = False
            self._events = iter(self._protocol.read(content))
            for event in self._events:
                if isinstance(event, Ended):
                    self._events = iter(())
                    return
                if (found := await self._input(event)) is not None:
                    is_heard = True
                    yield found
            if not is_heard:  # such as the other track: the exchange is there all the same
                yield NOTHING
        self._is_gone = True

    async def _rest(self) -> AsyncGenerator[Input, None]:
        """What the last message, protocol and decoder hold back, also when the service ends the call."""
        try:
            for event in chain(self._events, self._protocol.rest()):
                if (found := await self._input(event)) is not None:
                    yield found
        except BonafideError as error:  # the call has ended for a reason of its own
            if self._call is not None:
                self._call.leave_out(error)
        yield Audio(await self._intake.rest(), last=True)

    async def _input(self, event: Event) -> Input | None:
        match event:
            case Begin():
                await self._begin(event)
            case Rate(hertz):
                self._intake.configure(rate=hertz)
            case Media():
                if self._call is None:
                    raise InvalidRequest("media came before the start of the call")
                return await self._heard(self._call, event.data)
            case Notes():
                if self._call is not None:
                    self._call.notes = event.texts
            case Reply(make, queued):
                if queued:
                    return QueuedReply(lambda: make)
                await self._send(make)
                return NOTHING
        return None

    async def _heard(self, call: PhoneCall, data: bytes) -> Input:
        try:
            return Audio(await self._intake.samples(data))
        except TooLarge as error:  # before anything of it was decoded: the call goes on without it
            call.leave_out(error)
            return NOTHING

    async def _begin(self, begin: Begin) -> None:
        if self._call is not None:
            raise InvalidRequest("a call starts once")
        self._intake.configure(
            encoding=begin.encoding,
            rate=begin.rate,
            channels=begin.channels,
            chunk_s=_WINDOW_S,
            overlap_s=0.0,
            mode=begin.mode,
        )
        self._stream.channel_names = begin.names or self._stream.channel_names
        self._stream.call = self._stream.call.of_task(begin.call_id)
        bind_task(begin.call_id)
        self._call = PhoneCall(
            begin.call_id,
            begin.stream_id,
            stream=self._stream,
            verdicts=self._app.calls,
            webhook=self._app.webhook,
            encode=call_verdict,
        )
        await self._call.update()

    async def _output(self, output: object) -> None:
        match output:
            case WindowResults() if self._call is not None:
                await self._tell(await self._call.update())
            case Refused(error) if self._call is not None:
                self._call.leave_out(error)
            case LiveSummary():
                await self._finish(output)
            case _ if callable(output):
                await self._send(output)

    async def _finish(self, summary: LiveSummary) -> None:
        verdict = None if self._call is None else await self._call.finish(summary)
        if self._error is not None:
            return  # the peer is told the error instead
        if verdict is not None:
            await self._tell(verdict)
        await self._send(self._protocol.ending_message(summary.ending))

    async def _tell(self, verdict: PhoneVerdict) -> None:
        await self._send(self._protocol.verdict_message(verdict))

    async def _send(self, make: Make | None) -> None:
        """Sends what is made, one after the other; a peer that has gone is told nothing."""
        if make is None:
            return
        async with self._sending:
            if self._is_gone:
                return
            try:
                await self._wire.send(make())
            except Gone:
                self._is_gone = True  # the verdict is stored and posted nevertheless

    async def _answer_until_closed(self) -> None:
        """Answers what the peer says last."""
        while self._protocol.awaits_close and not self._is_gone:
            content = await self._wire.receive()
            self._is_gone = content is None
            if content is not None:
                await self._answer(self._protocol.read(content))

    async def _answer(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Reply):
                await self._send(event.make)

"""One HTTP connection below the application: bounded in bytes and time, and closed soon after an early answer.

uvicorn takes headers of any size and number, waits for the rest of a request without end, and reads on what nobody
wants any more: a body whose request has been refused. Of a request that wants another protocol than WebSocket it takes
the body for the next request, and trailers for headers; what is no HTTP, and a handshake, it answers before the request
in front of it.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bonafide.bento.connection_limit import ConnectionSlot
from bonafide.byte_budget import declared_bytes
from bonafide.calls import Call
from bonafide.errors import BonafideError, DeadlineExceeded, InvalidRequest, TooLarge
from bonafide.http_errors import STATUS, content_of, headers_of
from bonafide.telemetry import refused

_NOT_ADMITTED = {401, 403, 429}
"""Of responses to those whose bodies are not worth reading."""
_HEADER_PIECE, _BODY_PIECE = 4 * 1024, 64 * 1024
"""Bytes given to the parser between two checks."""
_MAX_PIPELINED = 256
"""Requests that wait on one connection for the response to an earlier one."""
_TICKS = 4
"""Checks within a time limit. They are counted, so that a busy event loop is not taken for a slow client."""


@dataclass(frozen=True)
class HttpLimits:
    """Limits of one HTTP connection.

    Attributes:
        header_bytes: most bytes of a request's line and headers, and of a body's trailers.
        headers: most headers of a request.
        header_timeout_s: for the TLS handshake, and again for request line and headers.
        body_rate: fewest bytes a second of a body, on average over `stall_s`; 0: no limit.
        stall_s: how long a body may be slower, and a response may remain unread.
        linger_s: how long a connection whose request was refused remains open, so that the response is read.
        linger_bytes: what is still read in that time, and dropped.
        linger_body: a body of a known caller that has no more bytes is read, and dropped, to its end in that time: some
            clients lose the response otherwise.
    """

    header_bytes: int = 32 * 1024
    headers: int = 128
    header_timeout_s: float = 10.0
    body_rate: int = 1024
    stall_s: float = 30.0
    linger_s: float = 2.0
    linger_bytes: int = 256 * 1024
    linger_body: int = 32 * 1024 * 1024


class ServiceHttp(HttpToolsProtocol):
    """See uvicorn.

    Args:
        limits: its limits.
        slot: what it counts in, given back at its end, or handed over to its WebSocket.
        uvicorns: see uvicorn.
    """

    def __init__(self, limits: HttpLimits, slot: ConnectionSlot, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._limits = limits
        self._slot: ConnectionSlot | None = slot
        self._new_websocket, self.ws_protocol_class = self.ws_protocol_class, self._open_websocket  # type: ignore[assignment]
        self._tick_s = limits.header_timeout_s / _TICKS
        self._stall_ticks = max(1, round(limits.stall_s / self._tick_s))
        self._timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0  # of complete headers
        self._silent_bytes = 0  # since the parser has told of anything
        self._in_headers = True
        self._body_bytes = 0
        self._too_large = False
        self._lingering: int | None = None  # bytes that may still be dropped
        self._header_ticks = self._body_ticks = self._unread_ticks = 0
        self._unread = 0
        self._begun = False
        self._piece = self._again = b""  # what is parsed, and what of it is to be parsed once more

    # Bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See uvicorn."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self._tick_s, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """See uvicorn."""
        self._stop_checks()
        super().connection_lost(exc)
        if self._slot is not None:
            self._slot.release()

    def data_received(self, data: bytes) -> None:
        """Parses it piece by piece. See uvicorn."""
        start = 0
        while start < len(data) and not self.transport.is_closing():
            if self._slot is None:
                return  # a WebSocket's client speaks before it is accepted: uvicorn drops this too
            if self._lingering is not None:
                self._drop(len(data) - start)
                return
            piece = data[start : start + (_HEADER_PIECE if self._in_headers else _BODY_PIECE)]
            start += len(piece)
            self._silent_bytes += len(piece)
            self._parse(piece)
            if self._too_large or self._silent_bytes > self._limits.header_bytes:
                self._refuse(TooLarge(f"line and headers of a request are over {self._limits.header_bytes} bytes"))
            elif len(self.pipeline) > _MAX_PIPELINED:
                self.transport.abort()

    def _parse(self, piece: bytes) -> None:
        while piece and not self.transport.is_closing() and self._lingering is None and self._slot is not None:
            self._piece, self._again = piece, b""
            super().data_received(piece)
            piece = self._again

    # What the parser tells

    def on_message_begin(self) -> None:
        """See uvicorn."""
        self._header_bytes = self._silent_bytes = self._header_ticks = 0
        self._in_headers = self._begun = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """See uvicorn."""
        if self._counted(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the request or, after a body in chunks, of its trailer, which nobody reads.

        uvicorn adds trailers to the headers, which the application sees if they come before it has begun. See uvicorn.
        """
        if not self._counted(len(name) + len(value)) or len(self.headers) >= self._limits.headers:
            self._too_large = True
        elif self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See uvicorn, which calls the application."""
        self._silent_bytes = self._body_bytes = self._body_ticks = 0
        self._in_headers = False
        if not (self._too_large or self._wants_other_protocol()):
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See uvicorn."""
        self._silent_bytes = 0
        self._body_bytes += len(body)
        if not self._too_large:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """See uvicorn."""
        self._silent_bytes = 0
        self._in_headers, self._begun = True, False
        if not (self._too_large or self._wants_other_protocol()):
            super().on_message_complete()

    def _counted(self, size: int) -> bool:
        self._silent_bytes = 0
        self._header_bytes += size
        self._too_large = self._too_large or self._header_bytes > self._limits.header_bytes
        return not self._too_large

    # Upgrades

    def _wants_other_protocol(self) -> bool:
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Reads the request again as one that wants no upgrade, for which servers may take it.

        The parser thinks that everything behind the headers is of the other protocol. See uvicorn, which calls this
        with the parser's exception at hand, and goes on behind the headers with the next request.
        """
        if self._too_large:
            return
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(InvalidRequest("this is no proxy: CONNECT is not served"))
            return
        upgrade: Any = sys.exception()
        head = b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())
        others = (name + b": " + value + b"\r\n" for name, value in self.headers if name != b"upgrade")
        self._again = b"".join((head, *others, b"\r\n", self._piece[upgrade.args[0] :]))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn

    # Early answers

    @property
    def _in_progress(self) -> RequestResponseCycle | None:
        """The request whose response has not ended."""
        return None if self.cycle is None or self.cycle.response_complete else self.cycle

    def send_400_response(self, msg: str) -> None:
        """See uvicorn, which answers in the place of a request in progress."""
        self._refuse(InvalidRequest("this is no HTTP request"))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """See uvicorn. Who is answered before the end of the body is told that the connection ends."""

        async def answering(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
            async def answer(message: Any) -> None:
                if message["type"] != "http.response.start" or not cycle.more_body:
                    await send(message)
                    return
                others = [(name, value) for name, value in message.get("headers", []) if name.lower() != b"connection"]
                await send({**message, "headers": [*others, (b"connection", b"close")]})
                cycle.keep_alive = True  # uvicorn would close at once, and the client lose the response
                known = message["status"] not in _NOT_ADMITTED
                cycle.on_response = partial(self._answered_early, _declared_bytes(scope["headers"]) if known else 0)

            await app(scope, receive, answer)

        super()._start_asgi_task(cycle, answering)

    def _answered_early(self, body_bytes: int) -> None:
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self._linger(body_bytes if body_bytes <= self._limits.linger_body else 0)

    def _refuse(self, error: BonafideError) -> None:
        """Answers in place of the application, which learns that its client has gone."""
        call = Call.within(0.0)
        refused("http", "connection", call, error)
        if cycle := self._in_progress:
            if cycle.response_started or self.pipeline or not cycle.more_body:
                self.transport.abort()  # another response must come first, or has begun
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(refusal(error, call))
        self._linger()

    def _linger(self, body_bytes: int = 0) -> None:
        """Closes in a way in which the client still sees the response: a reset would take it away."""
        self._unset_keepalive_if_required()
        self._stop_checks()
        self._lingering = max(self._limits.linger_bytes, body_bytes)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(self._limits.linger_s, self.transport.abort)

    def _drop(self, size: int) -> None:
        assert self._lingering is not None  # noqa: S101
        self._lingering -= size
        if self._lingering <= 0 and not self.flow.read_paused:
            self.flow.pause_reading()  # who sends all before it reads waits now, until it is cut off
            self._stop_checks()
            self._timer = self.loop.call_later(self._limits.linger_s / 4, self.transport.abort)

    # Time

    def _check(self) -> None:
        """Ends the connection when the client is too slow; called a few times within each limit."""
        self._timer = self.loop.call_later(self._tick_s, self._check)
        if self._response_unread():
            self.transport.abort()
        elif self.transport.is_closing():
            pass
        elif self._in_progress is None:
            self._check_headers()
        else:
            self._check_body()

    def _check_headers(self) -> None:
        if self.timeout_keep_alive_task is not None:  # between two requests
            self._header_ticks = 0
            return
        self._header_ticks += 1
        if self._header_ticks <= _TICKS:
            return
        if self._begun:
            self._refuse(DeadlineExceeded("the request's headers did not arrive in time"))
        else:
            self.transport.abort()  # a response without a request could be taken for that of the next one

    def _check_body(self) -> None:
        cycle = self.cycle
        if not cycle.more_body or self.flow.read_paused or cycle.waiting_for_100_continue:
            self._body_ticks = self._body_bytes = 0
            return
        self._body_ticks += 1
        if self._body_ticks < self._stall_ticks:
            return
        if self._body_bytes < self._limits.body_rate * self._stall_ticks * self._tick_s:
            self._refuse(DeadlineExceeded(f"a body must arrive with {self._limits.body_rate} bytes a second"))
        self._body_ticks = self._body_bytes = 0

    def _response_unread(self) -> bool:
        """Whether the client has read nothing of what waits for it in all checks of `stall_s`."""
        unread, self._unread = self._unread, self.transport.get_write_buffer_size()
        self._unread_ticks = self._unread_ticks + 1 if unread and self._unread >= unread else 0
        return self._unread_ticks > self._stall_ticks

    def _stop_checks(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # Its WebSocket

    def handle_websocket_upgrade(self) -> None:
        """See uvicorn, which answers in the place of a request in progress."""
        if self._too_large:
            return
        if self._in_progress:
            self.transport.abort()
        else:
            super().handle_websocket_upgrade()

    def _open_websocket(self, **uvicorns: Any) -> Any:
        assert self._new_websocket is not None  # noqa: S101
        self._stop_checks()
        websocket: Any = self._new_websocket(**uvicorns)
        websocket.slot, self._slot = self._slot, None
        return websocket


def _declared_bytes(headers: list[tuple[bytes, bytes]]) -> int:
    return next((declared_bytes(value.decode("latin-1")) for name, value in headers if name == b"content-length"), 0)


def refusal(error: BonafideError, call: Call) -> bytes:
    """A whole response, as `api/refusals.py` gives it."""
    status = HTTPStatus(STATUS[error.code])
    content = json.dumps(content_of(error, call)).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(content)),
        **headers_of(error, call),
        "connection": "close",
    }
    head = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*head, "", ""]).encode() + content

"""One WebSocket below the application: how fast its frames are taken, how much is held for it, how it is closed.

bytes -> turns of a few frames each -> messages that wait for the application, bounded in bytes. Control frames are
handled when they are read, whether or not the application takes messages.

uvicorn parses all that has arrived before any other connection has its turn, reads nothing at all while one message
waits, and queues pongs for a peer who does not read. A connection whose peer does not read stays open for as long
as its TCP does.
"""

import asyncio
import socket
from collections import deque
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from bonafide.bento.connection_limit import ConnectionSlot
from bonafide.bento.large_messages import TOO_LARGE, SkippingProtocol
from bonafide.bento.round_robin import RoundRobin

GRACE_S = 5.0
"""From the close frame until the connection is cut, if the peer does not read it."""
_PIECE_BYTES, _MAX_PIECE_BYTES = 1024, 16 * 1024
"""Parsed in one turn: 170 of the smallest frames; within a large frame more and more."""
_UNPARSED_BYTES = 64 * 1024
"""No more is read while so much waits to be parsed."""
_MESSAGE_BYTES = 512
"""What a waiting message takes beside its data."""
_WAIT_S = 0.05
"""Pause of a socket that has sent too many frames."""
_RECEIVE_BUFFER = 128 * 1024
"""The kernel's, or megabytes would lie there before a ping is read."""
_SLOW_READER = (1008, "slow_reader")


@dataclass(frozen=True)
class SocketLimits:
    """Limits of one WebSocket.

    Attributes:
        frames_per_s: frames taken from it in a second; a second's may come at once. What comes faster waits.
        read_ahead: bytes of messages that may always be held while the application takes none.
        read_ahead_most: that may be held while `ReadAhead` has room.
    """

    frames_per_s: int
    read_ahead: int
    read_ahead_most: int


class ReadAhead:
    """What all sockets of a process hold.

    Args:
        most: bytes.

    Attributes:
        held: bytes now.
    """

    def __init__(self, most: int) -> None:
        self.held = 0
        self._most = most

    @property
    def full(self) -> bool:
        """Whether no socket may hold more than is its own."""
        return self.held >= self._most


class ServiceWebSocket(WebSocketsSansIOProtocol):
    """Can be closed while data waits to be sent, and skips messages over the limit.

    Handlers find in the `state` of their scope `close_and_abort`, and `too_large`, the text that they get in place of
    a message that was skipped.

    Args:
        limits: what is taken from it and held for it.
        scheduler: shared by all connections.
        read_ahead: the same.
        uvicorns: see uvicorn.

    Attributes:
        slot: what the connection counts in, given back at its end.
    """

    def __init__(self, limits: SocketLimits, scheduler: RoundRobin, read_ahead: ReadAhead, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.conn = SkippingProtocol(max_size=self.config.ws_max_size, logger=self.logger)
        self._read_ahead = read_ahead
        self.slot: ConnectionSlot | None = None
        self._limits = limits
        self._scheduler = scheduler
        self._unparsed = bytearray()
        self._piece_bytes = _PIECE_BYTES
        self._has_turn = False
        self._frames_left = float(limits.frames_per_s)
        self._counted_at = self.loop.time()
        self._waiting: asyncio.TimerHandle | None = None
        self._held = 0
        self._ended = False
        self._weights: deque[int] = deque()
        self._paused_at: float | None = None
        self._paused_s = self._paused_before_ping = 0.0
        self._owed_pong = b""
        self._stalled: asyncio.TimerHandle | None = None
        self._cutting: asyncio.TimerHandle | None = None

    # From the connection to the application

    def connection_made(self, transport: Any) -> None:
        """See uvicorn."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "close_and_abort": self.close_and_abort, "too_large": TOO_LARGE}
        if (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def data_received(self, data: bytes) -> None:
        """Keeps the bytes for the next turns."""
        self._unparsed += data
        self._ask_turn()
        self._read_or_pause()

    def connection_lost(self, exc: Exception | None) -> None:
        """Parses what had arrived before, within the limit of frames. See uvicorn."""
        if not self.close_sent:
            self._count_frames()
            while self._unparsed and self._frames_left >= 1 and not self.close_sent:
                self._parse_piece()
        self._unparsed.clear()
        for timer in (self._waiting, self._stalled, self._cutting):
            if timer is not None:
                timer.cancel()
        self._forget_late_messages()
        super().connection_lost(exc)
        if self.slot is not None:
            self.slot.release()

    def _ask_turn(self) -> None:
        if not self._has_turn and self._waiting is None:
            self._has_turn = True
            self._scheduler.submit(self._turn)

    def _turn(self) -> bool:
        """Parses a piece; returns whether more has arrived, and may be parsed now."""
        self._count_frames()
        if self._unparsed and not self._full:
            if self._frames_left < 1:
                self._waiting = self.loop.call_later(_WAIT_S, self._go_on)
            else:
                self._parse_piece()
        self._has_turn = bool(self._unparsed) and self._waiting is None and not self._full
        self._read_or_pause()
        return self._has_turn

    def _go_on_if_room(self) -> None:
        if self._unparsed and not self._full:
            self._ask_turn()
        self._read_or_pause()

    def _go_on(self) -> None:
        self._waiting = None
        self._ask_turn()

    def _count_frames(self) -> None:
        now = self.loop.time()
        earned = (now - self._counted_at) * self._limits.frames_per_s
        self._frames_left = min(float(self._limits.frames_per_s), self._frames_left + earned)
        self._counted_at = now

    def _parse_piece(self) -> None:
        piece = bytes(self._unparsed[: self._piece_bytes])
        del self._unparsed[: self._piece_bytes]
        self._piece_bytes = min(2 * self._piece_bytes, _MAX_PIECE_BYTES)
        super().data_received(piece)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:  # uvicorn does not notice
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        if self.transport.is_closing() and self.conn.state is not State.OPEN:  # else the peer has left: it is heard out
            self._unparsed.clear()

    def handle_events(self) -> None:
        """See uvicorn."""
        if self.conn.events:
            self._frames_left -= len(self.conn.events)
            self._piece_bytes = _PIECE_BYTES
        super().handle_events()

    def handle_cont(self, event: Frame) -> None:
        """See uvicorn, which keeps a list of fragments, however many and small."""
        whole = self.frames[0] if isinstance(self.frames[0], bytearray) else bytearray(self.frames[0])
        whole += event.data
        self.frames = [whole]  # type: ignore[list-item]
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """See uvicorn, which stops reading here; ours goes on up to the limit."""
        if self._ended:
            return
        data = bytes(self.frames[0])
        self.frames = [data]
        queued = self.queue.qsize()
        self.read_paused = True  # so that uvicorn does not pause
        super().send_receive_event_to_app()
        self.read_paused = False
        if self.queue.qsize() > queued and not self.close_sent:
            self._weights.append(len(data) + _MESSAGE_BYTES)
            self._hold(self._weights[-1])

    async def receive(self) -> Any:
        """The next message; see ASGI. Other tasks run first, also when a message is there."""
        if not self.queue.empty():
            await asyncio.sleep(0)
        message = await self.queue.get()
        if message["type"] == "websocket.receive":
            self._hold(-self._weights.popleft())
            self._go_on_if_room()
        return message

    def _hold(self, size: int) -> None:
        self._held += size
        self._read_ahead.held += size

    def _forget_late_messages(self) -> None:
        """Of what a lost client has sent, only as much is judged as would have been without reading ahead."""
        waiting = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        weights, self._weights = self._weights, deque()
        kept = 0
        for event in waiting:
            if event["type"] == "websocket.receive":
                weight = weights.popleft()
                if kept >= self._limits.read_ahead:
                    self._hold(-weight)
                    continue
                kept += weight
                self._weights.append(weight)
            self.queue.put_nowait(event)

    @property
    def _full(self) -> bool:
        """Whether no more messages may wait."""
        most = self._limits.read_ahead if self._read_ahead.full else self._limits.read_ahead_most
        return self._held >= most and not self.close_sent

    def _read_or_pause(self) -> None:
        pause = self._full or len(self._unparsed) >= _UNPARSED_BYTES or self._waiting is not None
        if pause and self._paused_at is None:
            self._paused_at = self.loop.time()
            self.transport.pause_reading()
        elif not pause and self._paused_at is not None:
            self._paused_s, self._paused_at = self._paused_until_now(), None
            self.transport.resume_reading()

    def _paused_until_now(self) -> float:
        """Seconds in which nothing was read because of us."""
        return self._paused_s + (0.0 if self._paused_at is None else self.loop.time() - self._paused_at)

    # From the application to the connection

    async def send(self, message: Any) -> None:
        """See uvicorn, which raises RuntimeError for what is sent after our own close."""
        if self.close_sent and self.handshake_complete:
            raise ClientDisconnected
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # by a refusal too, which uvicorn would log as an error
            self._go_on_if_room()

    def handle_ping(self) -> None:
        """Answers pings; while the peer reads nothing, only the last of them (RFC 6455, 5.5.3)."""
        frames = self.conn.data_to_send()
        if self.transport.is_closing() or not frames:
            return
        if self.writable.is_set() or self.conn.state is not State.OPEN:
            self.transport.write(b"".join(frames))
        else:
            self._owed_pong = frames[-1]

    def pause_writing(self) -> None:
        """See uvicorn. A peer who does not read for long is cut off, also when the application sends nothing."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.ping_timeout or GRACE_S, self.close_and_abort, *_SLOW_READER)

    def resume_writing(self) -> None:
        """See uvicorn."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self._owed_pong and not self.transport.is_closing():
            self.transport.write(self._owed_pong)
            self._owed_pong = b""

    # Its end

    def send_keepalive_ping(self) -> None:
        """See uvicorn."""
        super().send_keepalive_ping()
        self._paused_before_ping = self._paused_until_now()

    def keepalive_timeout(self) -> None:
        """See uvicorn, whose own close waits until the lost peer reads.

        The answer may lie behind what is not read yet, so time in which nothing is read does not count.
        """
        assert self.ping_timeout is not None  # noqa: S101 - there would be no such timer
        paused_s = self._paused_until_now() - self._paused_before_ping
        left_s = self.ping_timeout - (self.loop.time() - self.ping_sent_at - paused_s)
        if paused_s and left_s > 0:
            self.pong_timer = self.loop.call_later(max(left_s, self.ping_timeout / 10), self.keepalive_timeout)
            return
        super().keepalive_timeout()
        self._close_for_good()

    def close_and_abort(self, code: int, reason: str) -> None:
        """Sends the close frame past what waits, and soon afterwards resets the connection."""
        self.stop_keepalive()
        if self.conn.state is State.OPEN and not self.disconnected:  # uvloop takes a write after the end for a bug
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._close_for_good()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """See uvicorn, which waits without end for a peer who does not read the last frames."""
        super().on_task_complete(task)
        self._ended = True
        self._hold(-self._held)
        self._cut_after(self.close_timeout + GRACE_S)

    def _close_for_good(self) -> None:
        self.transport.close()
        self._cut_after(GRACE_S)

    def _cut_after(self, seconds: float) -> None:
        if self._cutting is None and not self.disconnected:
            self._cutting = self.loop.call_later(seconds, self.transport.abort)

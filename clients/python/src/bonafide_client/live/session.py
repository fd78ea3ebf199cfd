"""A live session without I/O: what to send, what an answer means, and how it goes on over a new connection.

Each frame is answered by one, in order. So the frames without an answer are a queue, and an answer belongs to its
head. Audio that has been answered but not judged yet is kept: after a broken connection it is sent again before
what was never answered, and windows are numbered on. Nothing is lost, and nothing is scored twice.
"""

import json
import logging
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..errors import BonafideError, Internal, InvalidRequest, TooLarge, UnreadableMedia, from_code
from . import convert
from .results import LiveSummary, LiveWindow
from .samples import SAMPLE_BYTES

Frame = str | bytes

_KEPT_S = 30.0
"""Most audio that is kept to be sent again."""
_NOT_TAKEN = (InvalidRequest, UnreadableMedia, TooLarge)
"""Errors of audio that the service refused before it was part of the stream."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One frame that awaits its answer. `waiter` is whoever asked; None for what the session sends by itself."""

    kind: Literal["connect", "config", "audio", "flush", "end"]
    waiter: Any = None
    audio: bytes = b""
    """Float32, little-endian; samples of several channels interleaved."""
    sample_rate: int = 0
    channels: int = 1

    @property
    def seconds(self) -> float:
        """How much audio it holds."""
        return len(self.audio) / (SAMPLE_BYTES * self.channels) / self.sample_rate if self.audio else 0.0


@dataclass(frozen=True)
class Answer:
    """What a frame was answered; windows, summary or error, or none of them while audio is gathered.

    `result` is the last of the windows; where channels are judged apart, of the worst one.
    """

    request: Request
    result: LiveWindow | None = None
    windows: tuple[LiveWindow, ...] = ()
    summary: LiveSummary | None = None
    error: BonafideError | None = None
    unjudged: str = ""
    """Which of the windows have no verdict, and why; empty where all have one."""


class LiveSession:
    """The state of one stream of audio, over as many connections as it takes.

    Args:
        client_id: what the client calls itself.
        windowing: `chunk_duration` and `overlap_duration`, if they are to differ from the service's own; `channels` and
            `channel_mode` of audio with several channels.
    """

    def __init__(self, client_id: str, windowing: dict[str, float | str]) -> None:
        self._client_id = client_id
        self._windowing = windowing
        self._overlap_s = 0.0  # as the service says
        self._unanswered: deque[Request] = deque()
        self._unjudged: list[Request] = []
        self._rate = 0  # as configured on this connection
        self._windows: list[LiveWindow] = []
        self._before = 0  # the number that this connection's first window gets
        self._start_s = 0.0  # where this connection's audio begins in the stream
        self._next_s = 0.0  # where the next window begins

    @property
    def unanswered_s(self) -> float:
        """Seconds of audio that were sent, or wait to be sent, without an answer yet."""
        return sum(request.seconds for request in self._unanswered)

    @property
    def awaits_an_answer(self) -> bool:
        """Whether anything was sent, or waits to be sent, without an answer yet."""
        return bool(self._unanswered)

    def waiters(self) -> list[Any]:
        """Everybody who waits for an answer."""
        return [request.waiter for request in self._unanswered if request.waiter is not None]

    def opened(self) -> list[Frame]:
        """A connection stands: the frames that begin it, or continue after the one that broke."""
        waiting = [request for request in self._unanswered if request.kind not in ("connect", "config")]
        unjudged, self._unjudged = self._unjudged, []
        self._unanswered.clear()
        self._rate = 0
        self._before = self._windows[-1].sequence + 1 if self._windows else 0
        self._start_s = self._next_s
        frames = self.ask(Request("connect"))
        for request in [replace(chunk, waiter=None) for chunk in unjudged] + waiting:
            frames += self.ask(request)
        return frames

    def ask(self, request: Request) -> list[Frame]:
        """The frames of a request, whose answer is awaited from now on. Unconnected, they may be thrown away."""
        if request.kind == "audio" and request.sample_rate != self._rate:
            self._rate = request.sample_rate
            return [self._frame(Request("config")), self._frame(request)]
        return [self._frame(request)]

    def _frame(self, request: Request) -> Frame:
        self._unanswered.append(request)
        match request.kind:
            case "audio":
                return request.audio
            case "connect":
                return json.dumps({"type": "connect", "client_id": self._client_id})
            case "config":
                form = {"encoding": "float32", "sample_rate": self._rate}
                return json.dumps({"type": "config", **form, **self._windowing})
            case kind:
                return json.dumps({"type": kind})

    def received(self, frame: str | bytes) -> Answer | None:
        """What the service sent; None for a kind of message that is newer than this client.

        Raises:
            Internal: no answer that a Bonafide service gives.
        """
        message = convert.message(frame)
        if (kind := message["type"]) not in _ANSWERS:
            _log.warning("skipping a message of unknown kind; a newer bonafide-client may understand it")
            return None
        if not self._unanswered and kind == "error":
            raise from_code(*convert.error_fields(message))  # why the service is about to close
        if not self._unanswered:
            raise Internal(f"the service sent {kind!r}, and nothing was asked")
        request = self._unanswered[0]  # until its answer is understood: whoever asked is told of an error, too
        if kind != "error" and kind not in _FITTING[request.kind]:
            raise Internal(f"the service answered {request.kind!r} with {kind!r}")
        answer = self._refused(request, message) if kind == "error" else self._accepted(request, message)
        self._unanswered.popleft()
        return answer

    def _refused(self, request: Request, message: dict[str, Any]) -> Answer:
        error = from_code(*convert.error_fields(message))
        if request.kind in ("connect", "config"):
            raise error  # nobody asked for it, and nothing can go on
        if request.audio and not isinstance(error, _NOT_TAKEN):
            self._keep(request)  # heard, and not judged
        return Answer(request, error=error)

    def _accepted(self, request: Request, message: dict[str, Any]) -> Answer:
        if message["type"] == "summary":
            summary = convert.summary(message, self._before, self._start_s)
            earlier = [window for window in self._windows if window.sequence < self._before]
            return Answer(request, summary=summary.after(tuple(earlier)))
        if request.kind == "config":
            self._overlap_s = convert.overlap_s(message)
        if request.audio:
            self._keep(request)
        if message["type"] != "detection_result":
            return Answer(request)
        windows = convert.windows(message, self._before, self._start_s)
        self._windows += windows
        overlap_s = 0.0 if request.kind == "flush" else self._overlap_s
        self._forget_until(windows[-1].end_s - overlap_s)
        result = convert.last_of_worst(message, windows, self._before)
        return Answer(request, result, windows, unjudged=str(message.get("error_message", "")))

    def _keep(self, request: Request) -> None:
        self._unjudged.append(request)
        too_much_s = sum(chunk.seconds for chunk in self._unjudged) - _KEPT_S
        if too_much_s > 0:  # the service has judged nothing for a while, and said so each time
            self._forget_until(self._next_s + too_much_s)

    def _forget_until(self, start_s: float) -> None:
        """Drops the audio that no later window needs."""
        spare_s, self._next_s = start_s - self._next_s, start_s
        while self._unjudged and spare_s > 0:
            first = self._unjudged.pop(0)
            spare = round(spare_s * first.sample_rate) * SAMPLE_BYTES * first.channels
            spare_s -= first.seconds
            if rest := first.audio[spare:]:
                self._unjudged.insert(0, replace(first, audio=rest))
                return


_FITTING = {
    "connect": ("connected",),
    "config": ("config_updated",),
    "audio": ("buffering", "detection_result"),
    "flush": ("buffering", "detection_result"),
    "end": ("summary",),
}
_ANSWERS = {"error", *(kind for kinds in _FITTING.values() for kind in kinds)}

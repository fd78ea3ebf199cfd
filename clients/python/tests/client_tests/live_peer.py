"""A WebSocket server that speaks docs/websocket.md and does as a test tells it. A window's score is its mean sample."""

import asyncio
import json
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from ssl import SSLContext
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

MODEL = {"name": "wavlm-peer", "version": "v1", "demo": True}
THRESHOLD = 0.5
REFUSALS = ("invalid_request", "unreadable_media", "too_large")
"""Errors of audio that the service does not take; after the others it is kept, and not judged."""


class LivePeer:
    """Answers every frame by one, and keeps nothing of a connection that ended.

    Attributes:
        cuts: the n-th connection is torn after as many audio frames as the n-th number says, the last unanswered.
        refusals: HTTP answers to the next handshakes: status, error document or None, headers.
        errors: codes of `error` answers to the next audio frames; the audio is kept, unless it is one of `REFUSALS`.
        unjudged: numbers of windows, in each connection, that have no verdict.
        mute: audio is never answered.
        warnings: of each summary.
        connections: frames of each connection, audio as bytes and the rest as objects.
        left: set when a client has closed its connection.
        headers: of each handshake.
    """

    def __init__(self) -> None:
        self.cuts: list[int] = []
        self.refusals: list[tuple[HTTPStatus, dict[str, str] | None, dict[str, str]]] = []
        self.errors: list[str] = []
        self.unjudged: set[int] = set()
        self.mute = False
        self.warnings: list[str] = []
        self.close_with: tuple[int, str] | None = None
        self.connections: list[list[Any]] = []
        self.left = asyncio.Event()
        self.headers: list[Headers] = []
        self.url = ""

    @asynccontextmanager
    async def listening(self, tls: SSLContext | None = None) -> AsyncIterator["LivePeer"]:
        async with serve(self._serve, "127.0.0.1", 0, process_request=self._refuse, ssl=tls) as server:
            self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{_port(server)}/ws/detect"
            yield self

    @property
    def audio_frames(self) -> list[bytes]:
        """Of all connections."""
        return [frame for frames in self.connections for frame in frames if isinstance(frame, bytes)]

    def _refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(request.headers)
        if not self.refusals:
            return None
        status, error, headers = self.refusals.pop(0)
        response = connection.respond(status, "" if error is None else json.dumps({"error": error}))
        response.headers.update(headers)
        return response

    async def _serve(self, connection: ServerConnection) -> None:
        cut = self.cuts.pop(0) if self.cuts else None
        frames: list[Any] = []
        self.connections.append(frames)
        state = _Stream(self.unjudged)
        async for frame in connection:
            frames.append(frame if isinstance(frame, bytes) else json.loads(frame))
            if isinstance(frame, bytes) and self.close_with is not None:
                return await connection.close(*self.close_with)
            if cut is not None and sum(isinstance(frame, bytes) for frame in frames) >= cut:
                connection.transport.abort()
                return None
            if isinstance(frame, bytes) and self.mute:
                continue
            if isinstance(frame, bytes) and self.errors:
                code = self.errors.pop(0)
                if code not in REFUSALS:
                    state.hear(frame)
                await connection.send(json.dumps(error(code)))
                continue
            if frames[-1] == {"type": "end"}:
                await connection.send(json.dumps({**state.answer(frames[-1]), "warnings": self.warnings}))
                return await connection.close()
            await connection.send(json.dumps(state.answer(frames[-1])))
        self.left.set()
        return None


def error(code: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": "as told", "request_id": "req-7"}


class _Stream:
    """The audio of one connection."""

    def __init__(self, unjudged: set[int]) -> None:
        self.rate, self.chunk_s, self.overlap_s = 16_000, 1.0, 0.0
        self.buffer = array("f")
        self.start = self.number = 0
        self.unjudged = unjudged
        self.windows: list[dict[str, Any]] = []

    def answer(self, frame: Any) -> dict[str, Any]:
        if isinstance(frame, bytes):
            self.hear(frame)
            return self._judged(int(self.chunk_s * self.rate))
        if frame["type"] == "connect":
            return {"type": "connected", "client_id": frame["client_id"], "request_id": "req-7", "model": MODEL}
        if frame["type"] == "config":
            if frame.get("chunk_duration", 1.0) > 4:
                return error("invalid_request")
            self.rate = frame["sample_rate"]
            self.chunk_s, self.overlap_s = frame.get("chunk_duration", 1.0), frame.get("overlap_duration", 0.0)
            return {"type": "config_updated", "config": {"overlap_duration": self.overlap_s}}
        if frame["type"] == "flush":
            return self._judged(max(self.rate // 4, len(self.buffer)), whole=True)
        self._judged(max(self.rate // 4, len(self.buffer)), whole=True)
        return self._summary()

    def hear(self, frame: bytes) -> None:
        self.buffer.frombytes(frame)

    def _judged(self, length: int, whole: bool = False) -> dict[str, Any]:
        found, lost = [], []
        while len(self.buffer) >= length:
            part = self.buffer[:length]
            if self.number in self.unjudged:
                lost.append(str(self.number))
            else:
                found.append(self._window(sum(part) / length, length))
                self.windows.append(found[-1])
            self.number += 1
            hop = length if whole else length - int(self.overlap_s * self.rate)
            self.buffer, self.start = self.buffer[hop:], self.start + hop
        told = f"no verdict on the windows {', '.join(lost)}" if lost else ""
        if not found:
            return (
                error("overloaded") if lost else {"type": "buffering", "buffer_duration": len(self.buffer) / self.rate}
            )
        result = {"result": found[-1], "windows": found, "threshold": THRESHOLD, "error_message": told}
        return {"type": "detection_result", **result}

    def _window(self, score: float, length: int) -> dict[str, Any]:
        label = "spoof" if score >= THRESHOLD else "bonafide"
        return {
            "sequence": self.number,
            "start_time_seconds": self.start / self.rate,
            "end_time_seconds": (self.start + length) / self.rate,
            "label": label,
            "p_spoof": score,
            "speech_ratio": 1.0,
            "running": {"label": label, "p_spoof": score},
        }

    def _summary(self) -> dict[str, Any]:
        score = sum(window["p_spoof"] for window in self.windows) / len(self.windows) if self.windows else None
        label = "no_speech" if score is None else "spoof" if score >= THRESHOLD else "bonafide"
        seconds = self.start / self.rate
        return {
            "type": "summary", "label": label, "p_spoof": score, "threshold": THRESHOLD, "windows": self.windows,
            "suspicious": [], "audio_seconds": seconds, "judged_seconds": seconds, "speech_seconds": seconds,
            "model": MODEL, "calibrated": False, "request_id": "req-7",
        }  # fmt: skip


def _port(server: Server) -> int:
    (socket,) = server.sockets
    return int(socket.getsockname()[1])

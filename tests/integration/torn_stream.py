"""A live service whose connections break: what it tells of each second of a stream is a table."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from websockets.asyncio.server import ServerConnection, serve

RATE = 16_000
THRESHOLD = 0.5


class Told(NamedTuple):
    """What is told of one second; a score of None: no speech."""

    score: float | None
    speech_ratio: float = 1.0
    channel: str = ""
    members: Mapping[str, float] = {}


class TornStream:
    """Judges each second of audio, and tears the connection when audio comes after one of `cuts` judged seconds.

    The summary of a connection knows what it judged alone, as that of a service.

    Attributes:
        seconds: of the stream; several windows of one second are of different channels.
        cuts: after how many seconds of the stream.
        conditions: of each channel in a summary, by its name.
        silent: at a cut the connection stands, and nothing is answered any more.
        connections: how many there were.
    """

    def __init__(
        self,
        *seconds: Sequence[Told],
        cuts: Sequence[int],
        conditions: Mapping[str, Sequence[str]] | None = None,
        silent: bool = False,
    ) -> None:
        self.seconds = seconds
        self.cuts = cuts
        self.conditions = conditions or {}
        self.silent = silent
        self.connections = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Yields its address. Each stream needs a new one."""
        cuts, judged = list(self.cuts), 0
        self.connections = 0

        async def handle(connection: ServerConnection) -> None:
            nonlocal judged
            self.connections += 1
            first, samples = judged, 0
            async for frame in connection:
                if isinstance(frame, bytes):
                    if judged in cuts:
                        cuts.remove(judged)
                        if self.silent:
                            return await connection.wait_closed()
                        return connection.transport.abort()
                    samples += len(frame) // 4
                    begin, judged = judged, first + samples // RATE
                    found = [window for second in range(begin, judged) for window in self._windows(second, first)]
                    result = {"type": "detection_result", "windows": found, "result": found[-1]} if found else BUFFERING
                    await connection.send(json.dumps(result))
                else:
                    await connection.send(json.dumps(self._answer(json.loads(frame)["type"], first, judged)))
            return None

        async with serve(handle, "127.0.0.1", 0, close_timeout=0.1) as server:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/detect"

    def _answer(self, kind: str, first: int, end: int) -> dict[str, Any]:
        if kind == "connect":
            return {"type": "connected"}
        if kind == "config":
            return {"type": "config_updated", "config": {"overlap_duration": 0.0}}
        return self._summary(first, end)

    def _windows(self, second: int, first: int) -> list[dict[str, Any]]:
        return [
            {
                "sequence": second - first,
                "start_time_seconds": float(second - first),
                "end_time_seconds": second - first + 1.0,
                "label": _label(told.score),
                "p_spoof": told.score,
                "speech_ratio": told.speech_ratio,
                "running": {"label": _label(told.score), "p_spoof": told.score},
                **({"member_scores": dict(told.members)} if told.members else {}),
                **({"channel": told.channel} if told.channel else {}),
            }
            for told in self.seconds[second]
        ]

    def _summary(self, first: int, end: int) -> dict[str, Any]:
        windows = [window for second in range(first, end) for window in self._windows(second, first)]
        names = list(dict.fromkeys(window["channel"] for window in windows if "channel" in window))
        channels = [
            {"number": number, "name": name, "conditions": list(self.conditions.get(name, ()))}
            | _verdict([window for window in windows if window.get("channel") == name])
            for number, name in enumerate(names)
        ]
        worst = max(channels, key=lambda channel: channel["p_spoof"], default=None)
        told = {"channel": worst["name"], "channels": channels, "conditions": worst["conditions"]} if worst else {}
        return {
            "type": "summary",
            "threshold": THRESHOLD,
            "audio_seconds": float(end - first),
            "judged_seconds": float(end - first),
            "reason": "end",
            "model": {"name": "peer", "version": "v1", "demo": True},
            "calibrated": True,
            "request_id": "req-7",
            "warnings": ["clipped"],
            "decision": "bonafide",
            "llr": -3.0,
            **_verdict(worst["windows"] if worst else windows),
            **told,
        }


BUFFERING = {"type": "buffering", "buffer_duration": 0.0}


def _verdict(windows: list[dict[str, Any]]) -> dict[str, Any]:
    """Near enough to the service's: what is told of the last part alone is not compared."""
    scores = [window["p_spoof"] for window in windows if window["p_spoof"] is not None]
    score = sum(scores) / len(scores) if scores else None
    members = windows[-1].get("member_scores") if windows else None
    return {
        "label": _label(score),
        "is_spoof": _label(score) == "spoof",
        "p_spoof": score,
        "speech_seconds": sum(window["speech_ratio"] for window in windows),
        "windows": windows,
        "suspicious": [],
        "partially_spoofed": False,
        **({"member_scores": members} if members else {}),
    }


def _label(score: float | None) -> str:
    return "no_speech" if score is None else "spoof" if score >= THRESHOLD else "bonafide"

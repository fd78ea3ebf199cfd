"""A light WebSocket client in one process: live sessions at real-time pace, and the delays of their results.

Messages are encoded before the run. Delays count from the time at which a window's last sample was due to be sent, so a
client or a connection that falls behind makes them longer, not fewer.
"""

import asyncio
import base64
import itertools
import json
import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.inputs import SAMPLE_RATE

Protocol = Literal["pcm16", "base64", "json"]
"""Binary int16 and pushed results; or the text of older clients, which wait for each reply."""

_MESSAGE_S = 0.25
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class LiveLoad:
    """Sessions to run.

    Attributes:
        sockets: concurrent sessions.
        protocol: of all of them.
        chunk_s: seconds of a window; a whole number of messages.
        run_in_s: seconds of audio before delays count.
        seconds: of audio afterwards.
    """

    sockets: int
    protocol: Protocol = "pcm16"
    chunk_s: float = 1.0
    run_in_s: float = 5.0
    seconds: float = 20.0

    @property
    def message_s(self) -> float:
        """Seconds of a message; the older clients sent a window at a time."""
        return _MESSAGE_S if self.protocol == "pcm16" else self.chunk_s

    @property
    def windows(self) -> int:
        """Windows of each session that should be judged."""
        return int((self.run_in_s + self.seconds) / self.chunk_s)


@dataclass
class LiveResult:
    """The results of a load.

    Attributes:
        expected: windows that should have been judged, those of the run-in too.
        lost: of these, windows without a verdict.
        wall_s: from the first message to the last summary.
        cpu_s: CPU time meanwhile, by process.
        delays_s: from the last sample of a window to its result; of those that have none, without end.
    """

    expected: int
    lost: int = 0
    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)


async def run_live_load(
    url: str, load: LiveLoad, sounds: Sequence[NDArray[np.int16]], cpu_seconds: Callable[[], dict[str, float]]
) -> LiveResult:
    """Runs the sessions.

    Args:
        url: of `/ws/detect`.
        load: the sessions.
        sounds: int16 arrays (samples,), 16 kHz, each longer than a window; a session repeats one of them.
        cpu_seconds: CPU time of each process so far.
    """
    bodies = [messages(sound, load) for sound in sounds]
    result = LiveResult(expected=load.sockets * load.windows)
    offsets = random.Random(0)  # noqa: S311
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(connect(url, compression=None, max_size=None, ping_interval=None))
            for _ in range(load.sockets)
        ]
        await asyncio.gather(*(_configure(socket, load) for socket in opened))
        used, first = cpu_seconds(), time.perf_counter()
        async with asyncio.timeout(_PATIENCE_S + load.run_in_s + load.seconds), asyncio.TaskGroup() as sessions:
            for socket, body in zip(opened, itertools.cycle(bodies), strict=False):
                session = _Session(socket, load, result, began=first + load.chunk_s * offsets.random())
                sessions.create_task(session.run(body))
        result.wall_s = time.perf_counter() - first
        result.cpu_s = {name: spent - used[name] for name, spent in cpu_seconds().items()}
    return result


def messages(sound: NDArray[np.int16], load: LiveLoad) -> list[bytes | str]:
    """A sound as messages of this load."""
    size = round(load.message_s * SAMPLE_RATE)
    pieces = [sound[first : first + size] for first in range(0, len(sound) - size + 1, size)]
    if load.protocol == "pcm16":
        return [piece.astype("<i2").tobytes() for piece in pieces]
    return [_audio_chunk(piece, load.protocol) for piece in pieces]


def _audio_chunk(piece: NDArray[np.int16], protocol: Protocol) -> str:
    samples = (piece / np.float32(32_768)).astype("<f4")
    data: Any = base64.b64encode(samples.tobytes()).decode() if protocol == "base64" else samples.tolist()
    return json.dumps({"type": "audio_chunk", "audio_data": data, "sample_rate": SAMPLE_RATE, "encoding": protocol})


async def _configure(socket: ClientConnection, load: LiveLoad) -> None:
    config: dict[str, Any] = {"type": "config", "chunk_duration": load.chunk_s, "sample_rate": SAMPLE_RATE}
    if load.protocol == "pcm16":
        config |= {"encoding": "pcm16", "results": "push"}
    await socket.send(json.dumps(config))
    answer = json.loads(await socket.recv())
    if answer["type"] != "config_updated":
        raise RuntimeError(f"the service answered {answer}")


class _Session:
    """One session, whose first sample is due at `began`."""

    def __init__(self, socket: ClientConnection, load: LiveLoad, result: LiveResult, began: float) -> None:
        self._socket = socket
        self._load = load
        self._result = result
        self._began = began
        self._judged = 0

    async def run(self, body: Sequence[bytes | str]) -> None:
        """Sends all audio, then `end`, and receives until the summary."""
        pushed = self._load.protocol == "pcm16"
        receiving = asyncio.create_task(self._receive()) if pushed else None
        count = round(self._load.windows * self._load.chunk_s / self._load.message_s)
        for number in range(count):
            await asyncio.sleep(self._began + (number + 1) * self._load.message_s - time.perf_counter())
            await self._socket.send(body[number % len(body)])
            if not pushed:
                self._take(await self._socket.recv())
        await self._socket.send('{"type": "end"}')
        await (receiving or self._receive())
        missing = self._load.windows - self._judged
        self._result.lost += missing
        self._result.delays_s += [math.inf] * missing  # or a service that refuses would be a quick one

    async def _receive(self) -> None:
        while self._take(await self._socket.recv()) != "summary":
            pass

    def _take(self, frame: bytes | str) -> str:
        """Records the windows of a frame; returns its type."""
        now = time.perf_counter()
        message = json.loads(frame)
        for window in message["windows"] if message["type"] == "detection_result" else ():
            self._judged += 1
            if (audio_s := window["end_time_seconds"]) > self._load.run_in_s:
                self._result.delays_s.append(now - self._began - audio_s)
        return str(message["type"])

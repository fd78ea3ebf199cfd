"""A light WebSocket client in one process: voices that speak at real-time pace, and what each of them is told when.

Messages are encoded before anybody speaks. Delays count from the moment at which a window's last sample was due to be
spoken, so a client or a connection that falls behind makes them longer, not fewer.
"""

import asyncio
import base64
import itertools
import json
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
"""Binary int16 and pushed results; or the older clients' text, who await an answer before they go on."""

_MESSAGE_S = 0.25
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Talk:
    """Who speaks how.

    Attributes:
        sockets: voices at a time.
        protocol: of all of them.
        chunk_s: seconds of a window; a whole number of messages.
        run_in_s: seconds that are spoken before delays count.
        seconds: that are spoken afterwards.
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
        """That each voice should be told about."""
        return int((self.run_in_s + self.seconds) / self.chunk_s)


@dataclass
class Heard:
    """What came of it.

    Attributes:
        expected: windows that should have been judged, those of the run-in too.
        lost: of these, windows without a verdict.
        wall_s: from the first word to the last answer.
        cpu_s: CPU time meanwhile, by process.
        delays_s: from the last sample of a window to its result.
    """

    expected: int
    lost: int = 0
    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)


async def hear(
    url: str, talk: Talk, sounds: Sequence[NDArray[np.int16]], cpu_seconds: Callable[[], dict[str, float]]
) -> Heard:
    """Lets them speak.

    Args:
        url: of `/ws/detect`.
        talk: who and how.
        sounds: int16 arrays (samples,), 16 kHz, each longer than a window; a voice repeats one of them.
        cpu_seconds: CPU time of each process so far.
    """
    bodies = [messages(sound, talk) for sound in sounds]
    heard = Heard(expected=talk.sockets * talk.windows)
    offsets = random.Random(0)  # noqa: S311
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(connect(url, compression=None, max_size=None, ping_interval=None))
            for _ in range(talk.sockets)
        ]
        await asyncio.gather(*(_configure(socket, talk) for socket in opened))
        used, first = cpu_seconds(), time.perf_counter()
        async with asyncio.timeout(_PATIENCE_S + talk.run_in_s + talk.seconds), asyncio.TaskGroup() as voices:
            for socket, body in zip(opened, itertools.cycle(bodies), strict=False):
                voice = _Voice(socket, talk, heard, began=first + talk.chunk_s * offsets.random())
                voices.create_task(voice.speak(body))
        heard.wall_s = time.perf_counter() - first
        heard.cpu_s = {name: spent - used[name] for name, spent in cpu_seconds().items()}
    return heard


def messages(sound: NDArray[np.int16], talk: Talk) -> list[bytes | str]:
    """A sound as it is sent, cut into messages."""
    size = round(talk.message_s * SAMPLE_RATE)
    pieces = [sound[first : first + size] for first in range(0, len(sound) - size + 1, size)]
    if talk.protocol == "pcm16":
        return [piece.astype("<i2").tobytes() for piece in pieces]
    return [_audio_chunk(piece, talk.protocol) for piece in pieces]


def _audio_chunk(piece: NDArray[np.int16], protocol: Protocol) -> str:
    samples = (piece / np.float32(32_768)).astype("<f4")
    data: Any = base64.b64encode(samples.tobytes()).decode() if protocol == "base64" else samples.tolist()
    return json.dumps({"type": "audio_chunk", "audio_data": data, "sample_rate": SAMPLE_RATE, "encoding": protocol})


async def _configure(socket: ClientConnection, talk: Talk) -> None:
    config: dict[str, Any] = {"type": "config", "chunk_duration": talk.chunk_s, "sample_rate": SAMPLE_RATE}
    if talk.protocol == "pcm16":
        config |= {"encoding": "pcm16", "results": "push"}
    await socket.send(json.dumps(config))
    answer = json.loads(await socket.recv())
    if answer["type"] != "config_updated":
        raise RuntimeError(f"the service answered {answer}")


class _Voice:
    """One of them, who says its first sample at `began`."""

    def __init__(self, socket: ClientConnection, talk: Talk, heard: Heard, began: float) -> None:
        self._socket = socket
        self._talk = talk
        self._heard = heard
        self._began = began
        self._told = 0

    async def speak(self, body: Sequence[bytes | str]) -> None:
        """Says everything, and asks for the last word, before which all results come."""
        pushed = self._talk.protocol == "pcm16"
        listening = asyncio.create_task(self._listen()) if pushed else None
        count = round(self._talk.windows * self._talk.chunk_s / self._talk.message_s)
        for number in range(count):
            await asyncio.sleep(self._began + (number + 1) * self._talk.message_s - time.perf_counter())
            await self._socket.send(body[number % len(body)])
            if not pushed:
                self._take(await self._socket.recv())
        await self._socket.send('{"type": "end"}')
        await (listening or self._listen())
        self._heard.lost += self._talk.windows - self._told

    async def _listen(self) -> None:
        while self._take(await self._socket.recv()) != "summary":
            pass

    def _take(self, frame: bytes | str) -> str:
        """Notes the windows of a frame; returns its type."""
        now = time.perf_counter()
        message = json.loads(frame)
        for window in message["windows"] if message["type"] == "detection_result" else ():
            self._told += 1
            if (spoken_s := window["end_time_seconds"]) > self._talk.run_in_s:
                self._heard.delays_s.append(now - self._began - spoken_s)
        return str(message["type"])

"""A live session in this process: inputs are sent one by one, outputs are recorded."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.mono import Block
from bonafide.calls import Call
from bonafide.decoders.pool import DecoderPool
from bonafide.decoders.processes import Template
from bonafide.evidence.judgement import Records
from bonafide.live.messages import Audio, Input
from bonafide.live.registry import LiveSessions
from bonafide.live.stream import Broken, LiveStream
from bonafide.settings import Settings
from bonafide.settings.group import MIB
from bonafide.shadow.voice import VoiceShadow
from bonafide.verdict import WindowScore
from tests.bonafide.fakes import LocalRemote, ready_runner


class Recorder:
    """Records its observations."""

    def __init__(self) -> None:
        self.most_sessions = self.sessions = 0
        self.judged = self.unjudged = 0

    def live_sessions(self, active: int) -> None:
        self.sessions = active
        self.most_sessions = max(self.most_sessions, active)

    def live_windows(self, judged: int, unjudged: int, seconds: float) -> None:
        assert seconds >= 0
        self.judged += judged
        self.unjudged += unjudged


@asynccontextmanager
async def live_sessions(
    remote: LocalRemote,
    recorder: Recorder | None = None,
    shadow: VoiceShadow | None = None,
    records: Records | None = None,
    **limits: Any,
) -> AsyncIterator[LiveSessions]:
    runner = await ready_runner(remote, WindowScore.of)
    with ThreadPoolExecutor(1) as pool, closing(DecoderPool(4, 512 * MIB, Template.of_process())) as decoders:
        values = {f"live_{name}" if f"live_{name}" in Settings.model_fields else name: limits[name] for name in limits}
        settings = Settings.model_validate(values)
        yield LiveSessions(
            runner=runner,
            pool=pool,
            decoders=decoders,
            settings=settings,
            observer=recorder or Recorder(),
            shadow=shadow,
            records=records,
        )


class Conversation:
    """The client of a session.

    Attributes:
        outputs: what was sent so far.
        rest: what the transport holds back until the end.
        hold: while it is clear, no output is received.

    Args:
        broken: as of `LiveStream.run`, if it is given.
    """

    def __init__(self, stream: LiveStream, *broken: Broken) -> None:
        self.stream = stream
        self._inputs: asyncio.Queue[Input | Exception | None] = asyncio.Queue()
        self.outputs: list[Any] = []
        self.rest: list[Input] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.running = asyncio.create_task(stream.run(self._messages(), self._send, self._rest, *broken))

    def say(self, *inputs: Input | Exception) -> None:
        for each in inputs:
            self._inputs.put_nowait(each)

    def end(self) -> None:
        self._inputs.put_nowait(None)

    @property
    def unread(self) -> int:
        """Inputs that were not taken yet."""
        return self._inputs.qsize()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.005)

    async def _messages(self) -> AsyncGenerator[Input, None]:
        while (message := await self._inputs.get()) is not None:
            if isinstance(message, Exception):
                raise message
            yield message

    async def _rest(self) -> AsyncGenerator[Input, None]:
        for each in self.rest:
            yield each

    async def _send(self, output: object) -> None:
        await self.hold.wait()
        self.outputs.append(output)


@asynccontextmanager
async def conversation(
    remote: LocalRemote, shadow: VoiceShadow | None = None, broken: Broken | None = None, **limits: Any
) -> AsyncIterator[Conversation]:
    async with live_sessions(remote, shadow=shadow, **limits) as sessions:
        with sessions.open(Call.within(60)) as stream:
            talk = Conversation(stream, *([broken] if broken else []))
            try:
                yield talk
            finally:
                talk.running.cancel()
                await asyncio.gather(talk.running, return_exceptions=True)


def level(share: float, seconds: float = 1.0, rate: int = 16_000) -> NDArray[np.float32]:
    """Samples of which this share is not zero, in every window: what `LocalRemote` gives for a score."""
    samples = np.zeros((round(seconds * 100), rate // 100), dtype=np.float32)
    samples[:, : round(share * rate / 100)] = 0.5
    return samples.ravel()


def audio(share: float, seconds: float = 1.0, *, answer: bool = False) -> Audio:
    return Audio([Block(level(share, seconds), 16_000)], answer)

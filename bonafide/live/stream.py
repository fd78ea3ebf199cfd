"""Runs one live session: audio is judged in order and in bounded memory, until client or server ends it.

inputs of a transport -> `session` -> int16 windows (pool) -> queue, bounded in seconds -> scores (runner) ->
outputs to the transport, which is an async generator of inputs and a function that sends outputs.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.codec_reader import Codec
from bonafide.audio.levels import ModelInput, model_input
from bonafide.audio.mono import Block
from bonafide.audio.reader import SAMPLE_RATE, WINDOW_SAMPLES, AudioLimits, samples_before
from bonafide.calls import Call
from bonafide.decision import effective_band
from bonafide.decoders.containers import ContainerStream
from bonafide.decoders.pool import DecoderPool
from bonafide.errors import BonafideError, Internal, ModelChanged, Overloaded
from bonafide.evidence.judgement import Judgement, Records
from bonafide.live.interleaved import Interleaved
from bonafide.live.session import Ending, LiveConfig, LiveLimits, LiveSession, LiveWindow, LiveWindowVerdict
from bonafide.live.summary import LiveSummary, summary_of
from bonafide.media_digest import MediaHash
from bonafide.runner.runner import Runner
from bonafide.settings import Settings
from bonafide.shadow.voice import VoiceShadow, VoiceTrial, follow
from bonafide.verdict import SpeechCheck, WindowScore, WindowSpan, effective_threshold
from bonafide.weighted_semaphore import WeightedSemaphore

_QUEUE_MS = 16_000
"""Length of the queue of windows to be scored; when it is full, nothing more is read from the client."""
_MIN_WEIGHT_MS = 50
"""Weight in the queue of a message that completes no window, so that their number is bounded too."""
_PIECE_S = 1.0
"""Audio that is cut into windows at a time: a message may be long, and its windows may overlap."""


class Audio(NamedTuple):
    """Audio that arrived.

    Attributes:
        blocks: in order, of one rate; none: what arrived completes no sample.
        answer: they get exactly one output.
        last: they are the rest of a stream that ends; what they complete is told in the summary only.
    """

    blocks: Sequence[Block]
    answer: bool = False
    last: bool = False


class Flush(NamedTuple):
    """Judges the buffered audio; gets exactly one output."""


class QueuedReply(NamedTuple):
    """A reply that is made and sent in order, after everything queued before it."""

    make: Callable[[], object]


@dataclass(frozen=True)
class WindowResults:
    """Results for audio; empty if a reply is due and no window is complete.

    Attributes:
        verdicts: in order.
        unjudged: windows without a verdict.
        error: why they have none.
        waiting_s: seconds that wait for their window to fill.
        waiting_samples: the same in samples.
        took_s: seconds since the audio arrived.
    """

    verdicts: tuple[LiveWindowVerdict, ...]
    unjudged: tuple[WindowSpan, ...]
    error: BonafideError | None
    waiting_s: float
    waiting_samples: int
    took_s: float


class Refused(NamedTuple):
    """Audio that was refused; the session continues without it."""

    error: BonafideError


Input = Audio | Flush | QueuedReply
Send = Callable[[object], Awaitable[None]]
"""Sends `WindowResults`, `Refused`, the output of a `QueuedReply`, and finally a `LiveSummary`."""


class SlowReader(Overloaded):
    """The client does not read its results."""


class StreamObserver(Protocol):
    """Receives measurements of windows."""

    def live_windows(self, judged: int, unjudged: int, seconds: float) -> None:
        """`judged` windows got a verdict and `unjudged` did not, `seconds` after the audio that completed them."""


class _Ready(NamedTuple):
    """A window as model input: int16 (n,), 16 kHz mono."""

    span: WindowSpan
    pcm: NDArray[np.int16]


class _Job(NamedTuple):
    """An entry of the queue. Of a message's pieces only the last gets a reply."""

    began: float
    windows: Sequence[_Ready] = ()
    together: bool = False
    answer: bool = False
    waiting: tuple[float, int] = (0.0, 0)
    reply: Callable[[], object] | None = None


class LiveStream:
    """One open session: reads inputs and writes outputs, each in a task of its own. Made by `LiveSessions`.

    Attributes:
        session: its state.
        model: that judges it.
        call: its ids in the log.
        client_id: the client's own name for itself; the call's id where it has given none.
        opened_at: seconds since 1970.
        messages: taken from the client so far.
        codec: in which its audio comes, the newest if it changes.
        channel_names: what channels 0, 1, ... are called.
    """

    def __init__(
        self,
        *,
        runner: Runner[WindowScore],
        pool: Executor,
        decoders: DecoderPool,
        settings: Settings,
        observer: StreamObserver,
        shadow: VoiceShadow | None,
        call: Call,
        records: Records | None = None,
    ) -> None:
        self.model = runner.info
        self.call = call
        limits = LiveLimits(settings.live_max_message_s, settings.live_idle_s, settings.live_max_session_s)
        threshold = effective_threshold(settings.voice_threshold, self.model.threshold)
        config = LiveConfig(settings.live_chunk_s, settings.live_overlap_s)
        before = samples_before(self.model)
        self._most_samples = WINDOW_SAMPLES + before
        speech = SpeechCheck(settings.min_speech_ratio)
        band = effective_band(settings.voice_uncertain, self.model.uncertain, threshold)
        prior = self.model.prior_log_odds
        self.session = LiveSession(limits, threshold, speech, _now(), config, before / SAMPLE_RATE, band, prior)
        self.client_id = call.request_id
        self.opened_at = time.time()
        self.messages = 0
        self._runner = runner
        self._pool = pool
        self._decoders = decoders
        self._source: ContainerStream | Interleaved | None = None
        self._source_warnings: list[str] = []
        self._settings = settings
        self._observer = observer
        self._records = records
        self._media = MediaHash() if records is not None and records.needs_media else None
        self.codec = "float32"
        self.channel_names = settings.channel_names
        self._shadow = shadow
        self._trial = VoiceTrial(None)  # until it runs
        self._room = WeightedSemaphore(_QUEUE_MS)
        self._jobs: asyncio.Queue[tuple[int, _Job] | Ending] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self._receiving = self._draining = False
        self._verdicts: list[LiveWindowVerdict] = []
        self._unjudged: list[WindowSpan] = []
        self._error: BonafideError | None = None

    def drain(self) -> None:
        """Ends the session as if the client had ended it, with another reason."""
        self._draining = True
        if self._receiving and self._reading is not None:
            self._reading.cancel()

    def received(self, data: bytes | bytearray) -> None:
        """Takes note, for the record of the verdict, of bytes as they came, before they are decoded."""
        if self._media is not None:
            self._media.update(data)

    @property
    def records_media(self) -> bool:
        """Whether `received` has a use."""
        return self._media is not None

    @property
    def max_channels(self) -> int:
        """Most channels of interleaved samples."""
        return self._settings.max_audio_channels

    def begin_container(self, codec: Codec | None = None) -> ContainerStream:
        """A decoder for a container, or a codec without one, that begins now; ends what was decoded or mixed before."""
        self.end_source()
        limits = AudioLimits.from_settings(self._settings)
        most_s = self._settings.live_max_message_s
        container = ContainerStream(self._decoders, limits, most_s, codec, self.session.mode)
        self._source = container
        return container

    def begin_interleaved(self, channels: int, rate: int) -> Interleaved:
        """Takes interleaved samples that begin now; ends what was decoded or mixed before."""
        self.end_source()
        self._source = interleaved = Interleaved(channels, rate)
        return interleaved

    def end_source(self) -> None:
        """Ends what is decoded or mixed; what it has shown is told in the summary."""
        if self._source is not None:
            self._source_warnings += self._source.warnings
            self._source.close()
            self._source = None

    async def run(self, inputs: AsyncGenerator[Input, None], send: Send) -> LiveSummary:
        """Judges the input until it ends. The last output is the summary; only it covers the rest under a window.

        Args:
            inputs: the client's messages; their end is the end of the session.
            send: called with one output after the other.

        Raises:
            SlowReader: `send` took too long.
            Exception: raised by `inputs` or `send`; nothing more is judged.
        """
        with follow(self._shadow, self.call) as self._trial:
            self._trial.answered(self.model, self.session.threshold)  # many clients leave without a summary
            return await self._run(inputs, send)

    async def _run(self, inputs: AsyncGenerator[Input, None], send: Send) -> LiveSummary:
        self._reading = asyncio.create_task(self._read(inputs))
        writing = asyncio.create_task(self._write(send))
        tasks = (self._reading, writing)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
            return writing.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.end_source()

    async def _read(self, inputs: AsyncGenerator[Input, None]) -> None:
        ending: Ending | None = None
        async with aclosing(inputs):
            while ending is None:
                try:
                    message = await self._next(inputs)
                except StopAsyncIteration:
                    ending = Ending.END
                    continue
                if message is not None:
                    self.messages += 1
                    self.session.message_received(_now())
                    await self._take(message)
                ending = Ending.GOING_AWAY if self._draining else self.session.overdue(_now())
        await self._queue_windows(_now(), self.session.finish(), together=True)
        self._jobs.put_nowait(ending)

    async def _next(self, inputs: AsyncGenerator[Input, None]) -> Input | None:
        """The next message, or None when the session is due to end."""
        if self._draining:
            return None
        self._receiving = True
        timeout = asyncio.timeout_at(self.session.due_at)
        try:
            async with timeout:
                return await anext(inputs)
        except TimeoutError:
            if timeout.expired():
                return None
            raise
        except asyncio.CancelledError:
            if self._draining:
                return None
            raise
        finally:
            self._receiving = False

    async def _take(self, message: Input) -> None:
        if isinstance(message, Audio):
            await self._take_audio(message)
        elif isinstance(message, Flush):
            await self._queue_windows(_now(), self.session.flush(), together=True, answer=True)
        else:
            await self._queue(_Job(_now(), reply=message.make))

    async def _take_audio(self, audio: Audio) -> None:
        began = _now()
        try:
            self.session.check(audio.blocks)
            together = audio.answer or audio.last
            pieces = list(_pieces(audio.blocks))
            for piece in pieces[:-1]:
                await self._queue_windows(began, self.session.feed(piece), together=together)
            windows = self.session.feed(pieces[-1]) if pieces else []
            await self._queue_windows(began, windows, together=together, answer=audio.answer)
        except BonafideError as error:
            refused = Refused(error)
            await self._queue(_Job(began, reply=lambda: refused))

    async def _queue_windows(
        self, began: float, windows: list[LiveWindow], *, together: bool = False, answer: bool = False
    ) -> None:
        if windows or answer:
            ready = await self._prepared(windows)
            waiting = (self.session.waiting_s, self.session.waiting_samples)
            await self._queue(_Job(began, ready, together, answer, waiting))

    async def _queue(self, job: _Job) -> None:
        seconds = sum(span.end_s - span.start_s for span, _ in job.windows)
        weight = await self._room.acquire(max(_MIN_WEIGHT_MS, round(1000 * seconds)))
        self._jobs.put_nowait((weight, job))

    async def _prepared(self, windows: list[LiveWindow]) -> list[_Ready]:
        if not windows:
            return []

        def make() -> list[ModelInput]:
            made = [model_input(each.samples, each.rate) for each in windows]
            for window, each in zip(windows, made, strict=True):
                self.session.conditions[window.span.channel].add(window.samples[-window.fresh :], window.rate, each)
            return made

        made = await asyncio.get_running_loop().run_in_executor(self._pool, make)
        for window, each in zip(windows, made, strict=True):
            self.session.levels.add(each, window.span.fresh_s)
        return [
            _Ready(window.span, each.pcm[-self._most_samples :]) for window, each in zip(windows, made, strict=True)
        ]

    async def _write(self, send: Send) -> LiveSummary:
        while not isinstance(item := await self._jobs.get(), Ending):
            weight, job = item
            if job.reply is not None:
                await self._send(send, job.reply())
            else:
                await self._judge(job, send)
            self._room.release(weight)
        self.end_source()
        summary = summary_of(self.session, item, self.model, self._source_warnings, self.channel_names)
        summary = await self._recorded(summary)
        self._observer.live_windows(len(self._verdicts), len(self._unjudged), 0.0)
        await self._send(send, summary)
        return summary

    async def _recorded(self, summary: LiveSummary) -> LiveSummary:
        """The summary with its record, if there is one of verdicts."""
        if self._records is None:
            return summary
        judgement = Judgement(
            source="live",
            media=None if self._media is None else self._media.digest,
            model=summary.model,
            threshold=summary.threshold,
            score=summary.score,
            label=summary.label,
            windows=summary.windows,
            member_scores=summary.member_scores,
            answer=summary.answer,
            codec=self.codec,
            channel_mode=str(summary.channel_mode) if self.session.most_channels > 1 else "",
            channel=summary.channel,
        )
        return replace(summary, evidence=await self._records.record(judgement, self.call))

    async def _send(self, send: Send, output: object) -> None:
        timeout = asyncio.timeout(self._settings.live_send_timeout_s)
        try:
            async with timeout:
                await send(output)
        except TimeoutError as error:
            if timeout.expired():
                raise SlowReader("results are not read") from error
            raise

    async def _judge(self, job: _Job, send: Send) -> None:
        """Scores a job's windows; each group's results are sent at once, unless they belong in one output."""
        size = self._runner.max_batch
        for first in range(0, len(job.windows), size):
            await self._score(job.windows[first : first + size])
            if not job.together:
                await self._send_judged(job, send)
        if job.answer:
            await self._send_judged(job, send)

    async def _send_judged(self, job: _Job, send: Send) -> None:
        took_s = _now() - job.began
        judged = WindowResults(tuple(self._verdicts), tuple(self._unjudged), self._error, *job.waiting, took_s)
        self._verdicts, self._unjudged, self._error = [], [], None
        self._observer.live_windows(len(judged.verdicts), len(judged.unjudged), took_s)
        await self._send(send, judged)

    async def _score(self, windows: Sequence[_Ready]) -> None:
        call = self.call.lasting(self._settings.live_timeout_s)
        try:
            scores = await self._runner.score([pcm for _, pcm in windows], call, self.model)
        except BonafideError as error:
            if isinstance(error, ModelChanged):
                self.drain()  # a session has one model and threshold; the next session has the new ones
            self._error = error
            self._unjudged += [span for span, _ in windows]
            return
        for (span, pcm), (score, speech_ratio, members) in zip(windows, scores, strict=True):
            if verdict := self.session.judge(span, score, speech_ratio, self.model.named(members)):
                self._verdicts.append(verdict)
                self._trial.judged(verdict, pcm)
            else:
                self._error = Internal("the voice model gave no score")
                self._unjudged.append(span)


def _pieces(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        step = max(1, round(_PIECE_S * block.rate))
        for start in range(0, len(block.samples), step):
            yield block.between(start, start + step)


def _now() -> float:
    return asyncio.get_running_loop().time()

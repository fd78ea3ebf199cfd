"""Runs one live session: audio is judged in order and in bounded memory, until client or server ends it.

inputs of a transport -> `session` -> int16 windows (pool) -> queue, bounded in seconds -> scores (runner) ->
outputs to the transport, which is an async generator of inputs and a function that sends outputs.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing, contextmanager
from dataclasses import replace

from bonafide.audio.codec_reader import Codec
from bonafide.audio.levels import ModelInput, model_input
from bonafide.audio.mono import Block
from bonafide.audio.reader import SAMPLE_RATE, WINDOW_SAMPLES, AudioLimits, least_seconds, samples_before
from bonafide.calls import Call
from bonafide.decision import effective_band
from bonafide.decoders.containers import ContainerStream
from bonafide.decoders.pool import DecoderPool
from bonafide.errors import BonafideError
from bonafide.evidence.judgement import Judgement, Records
from bonafide.live.interleaved import Interleaved
from bonafide.live.limits import LiveConfig, LiveLimits
from bonafide.live.messages import Audio, Failed, Flush, Input, Refused, Send
from bonafide.live.scoring import Job, ReadyWindow, SlowReader, StreamObserver, WindowScoring
from bonafide.live.session import Ending, LiveSession
from bonafide.live.summary import LiveSummary, summary_of
from bonafide.live.windows import LiveWindow
from bonafide.media_digest import MediaHash
from bonafide.runner.runner import Runner
from bonafide.settings import Settings
from bonafide.shadow.voice import VoiceShadow, VoiceTrial, follow
from bonafide.verdict import SpeechCheck, WindowScore, effective_threshold

_PIECE_S = 1.0
"""Audio that is cut into windows at a time: a message may be long, and its windows may overlap."""
Rest = Callable[[], AsyncGenerator[Input, None]]
"""Gives what a transport still holds of what had arrived; see `LiveStream.run`."""
Broken = Callable[[Exception], None]
"""Takes the error that breaks a session; see `LiveStream.run`."""


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
        self.session = LiveSession(
            limits,
            threshold,
            speech,
            _now(),
            config,
            before / SAMPLE_RATE,
            band,
            prior,
            least_seconds(self.model),
        )
        self.client_id = call.request_id
        self.opened_at = time.time()
        self.messages = 0
        self._scoring = WindowScoring(
            session=self.session,
            runner=runner,
            observer=observer,
            settings=settings,
            call=call,
            model_changed=self.drain,
            slow_reader=self._end_of_slow_reader,
        )
        self._pool = pool
        self._decoders = decoders
        self._source: ContainerStream | Interleaved | None = None
        self._source_warnings: list[str] = []
        self._settings = settings
        self._records = records
        self._media = MediaHash() if records is not None and records.needs_media else None
        self.codec = "float32"
        self.channel_names = settings.channel_names
        self._shadow = shadow
        self._receiving: asyncio.Timeout | None = None
        self._read_out = False
        self._ended_by: Ending | None = None
        self._broken: Broken = _raised

    @property
    def silent_s(self) -> float:
        """Seconds for which no message has come while one is waited for; for ever, once none is taken any more."""
        if self._read_out:
            return math.inf
        return 0.0 if self._receiving is None else self.session.silent_s(_now())

    def drain(self) -> None:
        """Ends the session as if the client had ended it, with another reason."""
        self._end(Ending.GOING_AWAY)

    def _end(self, reason: Ending) -> None:
        self._ended_by = reason
        if self._receiving is not None and not self._receiving.expired():
            self._receiving.reschedule(_now())

    def _end_of_slow_reader(self, error: SlowReader) -> None:
        self._broken(error)
        self._end(Ending.ERROR)

    def received(self, data: bytes | bytearray) -> None:
        """Takes note, for the record of the verdict, of bytes as they came, before they are decoded."""
        if self._media is not None:
            self._media.update(data)

    @property
    def records_media(self) -> bool:
        """Whether `received` has a use."""
        return self._media is not None

    @property
    def records_verdicts(self) -> bool:
        """Whether the verdict on a whole session is recorded before it is given."""
        return self._records is not None

    def summary(self, ending: Ending) -> LiveSummary:
        """The verdict on all that was judged so far, without its record."""
        return summary_of(self.session, ending, self.model, self._source_warnings, self.channel_names)

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

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """For a block that decodes a message: it has arrived, so it is judged whatever ends the session meanwhile."""
        timeout, self._receiving = self._receiving, None
        if timeout is None:  # at the end nothing is received
            yield
            return
        timeout.reschedule(None)
        try:
            yield
        finally:
            timeout.reschedule(self.session.due_at if self._ended_by is None else _now())
            self._receiving = timeout

    async def run(
        self, inputs: AsyncGenerator[Input, None], send: Send, rest: Rest, broken: Broken | None = None
    ) -> LiveSummary:
        """Judges the input until it ends. The last output is the summary; only it covers the rest under a window.

        Args:
            inputs: the client's messages; their end is the end of the session.
            send: called with one output after the other.
            rest: what was held back of the messages, whoever ends the session; asked for once, after `inputs`.
            broken: takes an error of `inputs`, and `SlowReader`. Where it returns, what had arrived is judged, and the
                session ends by `Ending.ERROR`. None: the error is raised.

        Raises:
            SlowReader: `send` took too long.
            BonafideError: the model failed, and nothing has a score.
            Exception: raised by `inputs`, `send` or `broken`; nothing more is judged.
        """
        self._broken = broken or _raised
        with follow(self._shadow, self.call) as trial:
            trial.answered(self.model, self.session.threshold)  # many clients leave without a summary
            return await self._run(inputs, send, rest, trial)

    async def _run(self, inputs: AsyncGenerator[Input, None], send: Send, rest: Rest, trial: VoiceTrial) -> LiveSummary:
        writing = asyncio.create_task(self._write(send, trial))
        tasks = (asyncio.create_task(self._read(inputs, rest)), writing)
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

    async def _read(self, inputs: AsyncGenerator[Input, None], rest: Rest) -> None:
        ending: Ending | None = None
        async with aclosing(inputs):
            while ending is None:
                try:
                    message = await self._next(inputs)
                except StopAsyncIteration:
                    ending = Ending.END
                    continue
                except Exception as error:
                    self._broken(error)
                    ending = Ending.ERROR
                    continue
                if message is not None:
                    self.messages += 1
                    await self._take(message)
                    self.session.message_taken(_now())  # while it waited for room, the next one was not read
                ending = self._ended_by or self.session.overdue(_now())
        self._read_out = True
        async with aclosing(rest()) as left:
            async for message in left:
                await self._take(message)
        await self._queue_windows(_now(), self.session.finish(), together=True)
        self._scoring.end(ending)

    async def _next(self, inputs: AsyncGenerator[Input, None]) -> Input | None:
        """The next message, or None when the session is due to end."""
        if self._ended_by is not None:
            return None
        try:
            async with asyncio.timeout_at(self.session.due_at) as timeout:
                self._receiving = timeout
                return await anext(inputs)
        except TimeoutError:
            if timeout.expired():
                return None
            raise
        finally:
            self._receiving = None

    async def _take(self, message: Input) -> None:
        if isinstance(message, Audio):
            await self._take_audio(message)
        elif isinstance(message, Flush):
            await self._queue_windows(_now(), self.session.flush(), together=True, answer=True)
        else:
            await self._scoring.queue(Job(_now(), reply=message.make))

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
            await self._scoring.queue(Job(began, reply=lambda: refused))

    async def _queue_windows(
        self, began: float, windows: list[LiveWindow], *, together: bool = False, answer: bool = False
    ) -> None:
        if windows or answer:
            ready = await self._prepared(windows)
            waiting = (self.session.waiting_s, self.session.waiting_samples)
            await self._scoring.queue(Job(began, ready, together, answer, waiting))

    async def _prepared(self, windows: list[LiveWindow]) -> list[ReadyWindow]:
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
            ReadyWindow(window.span, each.pcm[-self._most_samples :])
            for window, each in zip(windows, made, strict=True)
        ]

    async def _write(self, send: Send, trial: VoiceTrial) -> LiveSummary:
        ending = await self._scoring.run(send, trial)
        self.end_source()
        summary = await asyncio.to_thread(self.summary, ending)  # of hours it takes as long as many windows
        failure = self.session.failure
        # Who comes again, as after `GOING_AWAY`, is judged then.
        if summary.score is None and failure is not None and ending is not Ending.GOING_AWAY:
            await self._scoring.send(send, Failed(failure))
            raise failure
        summary = await self._recorded(summary)
        await self._scoring.send(send, summary)
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


def _pieces(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        step = max(1, round(_PIECE_S * block.rate))
        for start in range(0, len(block.samples), step):
            yield block.between(start, start + step)


def _raised(error: Exception) -> None:
    raise error


def _now() -> float:
    return asyncio.get_running_loop().time()

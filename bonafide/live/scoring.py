"""The second half of a live session: windows wait in a queue bounded in seconds, are scored, and results are sent."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bonafide.calls import Call
from bonafide.errors import BonafideError, Internal, ModelChanged, Overloaded
from bonafide.live.messages import Send, WindowResults
from bonafide.live.session import Ending, LiveSession
from bonafide.live.weighted_semaphore import WeightedSemaphore
from bonafide.live.windows import LiveWindowVerdict
from bonafide.runner.runner import Runner
from bonafide.settings import Settings
from bonafide.shadow.voice import VoiceTrial
from bonafide.verdict import WindowScore, WindowSpan

_QUEUE_MS = 16_000
"""Length of the queue of windows to be scored; when it is full, nothing more is read from the client."""
_MIN_WEIGHT_MS = 50
"""Weight in the queue of a message that completes no window, so that their number is bounded too."""


class SlowReader(Overloaded):
    """The client does not read its results."""


class StreamObserver(Protocol):
    """Receives measurements of windows."""

    def live_windows(self, judged: int, unjudged: int, seconds: float) -> None:
        """`judged` windows got a verdict and `unjudged` did not, `seconds` after the audio that completed them."""


class ReadyWindow(NamedTuple):
    """A window as model input: int16 (n,), 16 kHz mono."""

    span: WindowSpan
    pcm: NDArray[np.int16]


class Job(NamedTuple):
    """An entry of the queue. Of a message's pieces only the last gets a reply.

    Attributes:
        began: when its audio arrived, by the clock of the event loop.
        windows: to be scored.
        together: their results belong in one output.
        answer: an output is due, with windows or without.
        waiting: seconds and samples that wait for their window to fill.
        reply: makes the output, where it is none of windows.
    """

    began: float
    windows: Sequence[ReadyWindow] = ()
    together: bool = False
    answer: bool = False
    waiting: tuple[float, int] = (0.0, 0)
    reply: Callable[[], object] | None = None


class WindowScoring:
    """Scores the windows of one session in order, and sends what is due.

    Args:
        session: takes the scores.
        runner: gives them.
        observer: receives measurements.
        settings: of the service.
        call: of the session.
        model_changed: is called when another model has taken the place of the session's.
        slow_reader: takes the error of a client that does not read; where it returns, the jobs go on.
    """

    def __init__(
        self,
        *,
        session: LiveSession,
        runner: Runner[WindowScore],
        observer: StreamObserver,
        settings: Settings,
        call: Call,
        model_changed: Callable[[], None],
        slow_reader: Callable[[SlowReader], None],
    ) -> None:
        self._session, self._runner, self._model = session, runner, runner.info
        self._observer, self._settings, self._call = observer, settings, call
        self._model_changed = model_changed
        self._slow_reader = slow_reader
        self._room = WeightedSemaphore(_QUEUE_MS)
        self._jobs: asyncio.Queue[tuple[int, Job] | Ending] = asyncio.Queue()
        self._verdicts: list[LiveWindowVerdict] = []
        self._unjudged: list[WindowSpan] = []
        self._error: BonafideError | None = None

    async def queue(self, job: Job) -> None:
        """Takes a job as soon as there is room for it."""
        seconds = sum(span.end_s - span.start_s for span, _ in job.windows)
        weight = await self._room.acquire(max(_MIN_WEIGHT_MS, round(1000 * seconds)))
        self._jobs.put_nowait((weight, job))

    def end(self, ending: Ending) -> None:
        """No more jobs come."""
        self._jobs.put_nowait(ending)

    async def run(self, send: Send, trial: VoiceTrial) -> Ending:
        """Works through the jobs until their end; what was not sent by then is told in the summary.

        Args:
            send: called with one output after the other.
            trial: a second model's, which is given what was judged.

        Raises:
            Exception: raised by `send`, or by `slow_reader`.
        """
        while not isinstance(item := await self._jobs.get(), Ending):
            weight, job = item
            if job.reply is not None:
                await self.send(send, job.reply())
            else:
                await self._judge(job, send, trial)
            self._room.release(weight)
        self._observer.live_windows(len(self._verdicts), len(self._unjudged), 0.0)
        return item

    async def send(self, send: Send, output: object) -> None:
        """Sends one output, or tells that it took too long; raises as `run`."""
        timeout = asyncio.timeout(self._settings.live_send_timeout_s)
        try:
            async with timeout:
                await send(output)
        except TimeoutError:
            if not timeout.expired():
                raise
            self._slow_reader(SlowReader("results are not read"))

    async def _judge(self, job: Job, send: Send, trial: VoiceTrial) -> None:
        """Scores a job's windows; each group's results are sent at once, unless they belong in one output."""
        size = self._runner.max_batch
        for first in range(0, len(job.windows), size):
            await self._score(job.windows[first : first + size], trial)
            if not job.together:
                await self._send_judged(job, send)
        if job.answer:
            await self._send_judged(job, send)

    async def _send_judged(self, job: Job, send: Send) -> None:
        took_s = asyncio.get_running_loop().time() - job.began
        judged = WindowResults(tuple(self._verdicts), tuple(self._unjudged), self._error, *job.waiting, took_s)
        self._verdicts, self._unjudged, self._error = [], [], None
        self._observer.live_windows(len(judged.verdicts), len(judged.unjudged), took_s)
        await self.send(send, judged)

    async def _score(self, windows: Sequence[ReadyWindow], trial: VoiceTrial) -> None:
        call = self._call.lasting(self._settings.live_timeout_s)
        try:
            scores = await self._runner.score([pcm for _, pcm in windows], call, self._model, live=True)
        except BonafideError as error:
            if isinstance(error, ModelChanged):
                self._model_changed()  # a session has one model and threshold; the next session has the new ones
            self._lose([span for span, _ in windows], error)
            return
        for (span, pcm), (score, speech_ratio, members) in zip(windows, scores, strict=True):
            if verdict := self._session.judge(span, score, speech_ratio, self._model.named(members)):
                self._verdicts.append(verdict)
                trial.judged(verdict, pcm)
            else:
                self._lose([span], Internal("the voice model gave no score"))

    def _lose(self, spans: list[WindowSpan], error: BonafideError) -> None:
        self._error = error
        self._unjudged += spans
        self._session.lose(spans, error)

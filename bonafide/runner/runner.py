"""One model in other processes: items in, probabilities out, with admission, deadlines and batches of many calls.

A call is first admitted (one of a bounded number, else `Overloaded` at once), then its items wait until BentoML's own
queue is short, and are sent with those of other calls (`batcher`). Items that wait here can still be cancelled; those
in BentoML's queue cannot.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from bonafide.calls import Call
from bonafide.errors import Internal, ModelChanged, Overloaded, Unavailable
from bonafide.runner.admission import Admission
from bonafide.runner.batcher import Batcher
from bonafide.runner.remote import ModelRefused, Remote, RunnerResult
from bonafide.security.caller import current_caller
from models.info import ModelInfo

logger = logging.getLogger(__name__)
T = TypeVar("T")

BATCHES_AHEAD = 2
"""Requests to each replica at one time: one that is being computed, and the next one."""
_PROBE_PERIOD_S = 1.0
_REPORT_PERIOD_S = 0.1


class RunnerObserver(Protocol):
    """Receives measurements of a runner."""

    def batch(self, runner: str, items: int, total_s: float, inference_s: float, batch_size: int) -> None:
        """One remote call of `items` items took `total_s` seconds, of which the engine used `inference_s`."""

    def calls(self, runner: str, active: int) -> None:
        """`active` calls are admitted now."""

    def replicas(self, runner: str, serving: int) -> None:
        """`serving` of its processes are in use now."""


class Runner(Generic[T]):
    """One model behind BentoML's adaptive batching; `T` is its result for an item.

    Args:
        name: for logs and metrics, "voice" or "face".
        remote: its replicas.
        read: converts `RunnerResult.judged` to the result.
        max_calls: calls admitted at one time; see `Admission`.
        observer: receives measurements.
        weigh: cost of an item, as a share of the largest item's.
    """

    def __init__(
        self,
        name: str,
        remote: Remote,
        *,
        read: Callable[[Any], T],
        max_calls: int,
        observer: RunnerObserver,
        weigh: Callable[[NDArray[Any]], float] = lambda _: 1.0,
    ) -> None:
        self.name = name
        self._remote = remote
        self._read = read
        self._admission = Admission(max_calls)
        self._max_batch = 1  # until the runner tells its own
        self._batcher = Batcher(self._score_batch, weigh, size=self._max_batch, ahead=1)
        self._previous = Batcher(self._score_previous, weigh, size=self._max_batch, ahead=1)
        self._observer = observer
        self._info: ModelInfo | None = None
        self._last_error = ""
        self._seconds_per_item = 0.1
        self._replacing = asyncio.Lock()

    @property
    def ready(self) -> bool:
        """Whether the runner has answered within the last seconds."""
        return self._info is not None

    @property
    def active_calls(self) -> int:
        """Calls admitted now."""
        return self._admission.active

    @property
    def max_calls(self) -> int:
        """Calls admitted at one time; keys that hold none may have some more."""
        return self._admission.slots

    @property
    def max_batch(self) -> int:
        """Most items in one batch, as the runner says; a suitable number to send at a time."""
        return self._max_batch

    @property
    def info(self) -> ModelInfo:
        """The model in use.

        Raises:
            Unavailable: the runner has not responded yet, or no longer does.
        """
        if self._info is None:
            raise Unavailable(f"the {self.name} model is not ready")
        return self._info

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Holds one of the slots for calls.

        Raises:
            Overloaded: all slots are in use; states when to retry.
        """
        caller = current_caller()
        if not self._admission.admits(caller):
            wait_s = max(1.0, self.active_calls * self._seconds_per_item)
            raise Overloaded(f"{self.active_calls} {self.name} calls are in progress", retry_after_s=math.ceil(wait_s))
        try:
            with self._admission.hold(caller):
                self._observer.calls(self.name, self.active_calls)
                yield
        finally:
            self._observer.calls(self.name, self.active_calls)

    async def score(
        self, items: Sequence[NDArray[Any]], call: Call, model: ModelInfo, *, live: bool = False
    ) -> list[T]:
        """Scores items of an admitted call; at most `max_batch` at a time, to be fair to other calls.

        Args:
            items: int16 windows (samples,) for voices, uint8 photos for faces, see `ModelInfo.picture_shape`.
            call: its deadline ends the wait.
            model: that the call began with, and whose threshold and name it uses.
            live: somebody speaks just now; such calls of a caller do not wait behind its others.

        Returns:
            The model's result for each item; a score is NaN where it could not judge that item.

        Raises:
            DeadlineExceeded: the deadline passed.
            Unavailable: the runner cannot be reached.
            ModelChanged: it serves another model now.
            Overloaded: the runner refused.
            Internal: the runner failed.
        """
        async with call.time_limit():
            if (answers := await self._scored_by(model, items, (current_caller(), live))) is None:
                raise ModelChanged(f"the {self.name} model was replaced during the call; ask again")
        return [self._read(answer.judged) for answer in answers]

    async def replace(self, reference: str, spoof_label: str | None) -> tuple[ModelInfo, int]:
        """Puts another model in the present one's place, in all replicas; calls go on, see `Remote.replace`.

        Returns:
            The model in use now, and in how many replicas it is.

        Raises:
            Unavailable: no replica can be reached.
            ModelRefused: it cannot be loaded, or another one takes the place just now; the present one stays.
        """
        if self._replacing.locked():
            raise ModelRefused("another model is being loaded; try again when it is", busy=True)
        async with self._replacing:
            try:
                count = await self._remote.replace(reference, spoof_label)
            except OSError as error:
                raise Unavailable(f"the {self.name} model cannot be reached") from error
            await self.probe()
        return self.info, count

    async def _scored_by(
        self, model: ModelInfo, items: Sequence[NDArray[Any]], flow: tuple[str, bool]
    ) -> list[RunnerResult] | None:
        """The results of this model, which may have been replaced since the call began; None: it is let go."""
        if self._info is None or self._info.fingerprint == model.fingerprint:
            answers = await self._batcher.submit(items, flow)
            if all(answer.fingerprint == model.fingerprint for answer in answers):
                return answers
        answers = await self._previous.submit(items, flow)
        return answers if all(answer.fingerprint == model.fingerprint for answer in answers) else None

    async def _score_batch(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        began = time.perf_counter()
        answers = self._complete(await self._score_remote(items), items)
        total_s = time.perf_counter() - began
        inference_s, batch_size = max(((answer.inference_s, answer.batch_size) for answer in answers), default=(0.0, 0))
        self._seconds_per_item += 0.1 * (inference_s / max(1, batch_size) - self._seconds_per_item)
        self._observer.batch(self.name, len(items), total_s, inference_s, batch_size)
        return answers

    async def _score_previous(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        try:
            answers = await self._remote.score_previous(items)
        except OSError as error:
            raise Unavailable(f"the {self.name} model cannot be reached") from error
        return self._complete(answers, items)

    def _complete(self, answers: list[RunnerResult], items: Sequence[NDArray[Any]]) -> list[RunnerResult]:
        """The answers, if there is one for each item."""
        if len(answers) != len(items):
            raise Internal(f"the {self.name} runner answered {len(answers)} of {len(items)} items")
        return answers

    async def _score_remote(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        try:
            return await self._remote.score(items)
        except OSError as error:
            self._info = None
            logger.warning("runner unreachable", extra={"runner": self.name, "cause": repr(error)})
            raise Unavailable(f"the {self.name} model cannot be reached") from error

    async def probe(self) -> None:
        """Requests the runner's model description once, and updates `ready` and `info`."""
        try:
            info = ModelInfo.from_dict(await self._remote.info())
        # Whatever the error, the runner cannot be used now, and may be when it is asked again.
        except Exception as error:
            self._does_not_answer(error)
            return
        self._max_batch = info.max_batch_size
        self._batcher.resize(self._max_batch, BATCHES_AHEAD * max(1, self._remote.replicas))
        self._previous.resize(self._max_batch, max(1, self._remote.replicas))
        self._observer.replicas(self.name, self._remote.replicas)
        if info != self._info:
            logger.info(
                "runner answers",
                extra={"runner": self.name, "model": info.name, "version": info.version, "demo": info.demo,
                       "engine": info.engine, "device": info.device, "precision": info.precision},
            )  # fmt: skip
        self._info = info

    def _does_not_answer(self, error: Exception) -> None:
        if self._info is not None or repr(error) != self._last_error:
            expected = isinstance(error, OSError | KeyError)  # a runner of another release may omit a field
            level = logging.INFO if self._info is None else logging.WARNING
            logger.log(
                level if expected else logging.ERROR,
                "runner does not answer",
                exc_info=None if expected else error,
                extra={"runner": self.name, "cause": repr(error)},
            )
        self._info, self._last_error = None, repr(error)
        self._observer.replicas(self.name, 0)

    async def close(self) -> None:
        """Closes the connections to the runner."""
        await self._remote.close()


async def watch(runners: Sequence[Runner[Any]], changed: Callable[[], Awaitable[None]]) -> None:
    """Probes each runner every second until cancelled, and awaits `changed` often: a probe may take seconds."""
    async with asyncio.TaskGroup() as tasks:
        for runner in runners:
            tasks.create_task(_repeat(runner.probe, _PROBE_PERIOD_S))
        tasks.create_task(_repeat(changed, _REPORT_PERIOD_S))


async def _repeat(step: Callable[[], Awaitable[None]], pause_s: float) -> None:
    """Awaits `step` again and again. An error does not end it, and is logged once while it stays the same."""
    last = ""
    while True:
        try:
            await step()
            last = ""
        # Whatever the error, without the watch the service would never be ready again.
        except Exception as error:
            if repr(error) != last:
                logger.exception("the watch of the runners has failed, and goes on")
            last = repr(error)
        await asyncio.sleep(pause_s)

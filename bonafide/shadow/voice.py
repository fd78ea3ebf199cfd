"""The shadow of the voice model: windows that were answered -> its own verdict on the recording or live session."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.reader import WINDOW_SAMPLES, samples_before
from bonafide.calls import Call
from bonafide.channels import channel_verdicts, worst
from bonafide.errors import Internal
from bonafide.runner.runner import Runner
from bonafide.shadow.comparisons import Comparisons, Outcome
from bonafide.shadow.report import ModelVerdict, report
from bonafide.shadow.trial import Trial
from bonafide.verdict import WindowVerdict, effective_threshold, label_of, overall_score
from models.info import ModelInfo


class VoiceTrial(Trial):
    """The judged windows of one recording or live session; see `Trial`.

    Attributes:
        windows: their verdicts, those without speech left out.
        samples: of each, int16 (n,), as the served model was given it.
        served: the model of the answer and its threshold, once there is one.
    """

    def __init__(self, comparisons: Comparisons | None) -> None:
        super().__init__(comparisons)
        self.windows: list[WindowVerdict] = []
        self.samples: list[NDArray[np.int16]] = []
        self.served: tuple[ModelInfo, float] | None = None

    def judged(self, window: WindowVerdict, pcm: NDArray[np.int16] | None) -> None:
        """Keeps a window that has a verdict.

        Args:
            window: its verdict; without a score for lack of speech, it is not kept.
            pcm: int16 (samples,), 16 kHz mono; None: its score came from the cache.
        """
        if not self.is_open or window.score is None:
            return
        if pcm is None:
            self.give_up(Outcome.CACHED)
        elif self.hold(pcm.nbytes):
            self.windows.append(window)
            self.samples.append(pcm)

    def answered(self, model: ModelInfo, threshold: float) -> None:
        """The call has its verdict, by this model and with this threshold; else nothing is compared."""
        self.served = (model, threshold)

    def give_up(self, obstacle: Outcome) -> None:
        """See `Trial`; lets go of the windows."""
        super().give_up(obstacle)
        self.windows, self.samples = [], []


class VoiceShadow:
    """Follows calls about voices.

    Args:
        comparisons: what is done after the answers.
        runner: the shadow model, whose results are P(spoof) alone: speech is as for the answer.
        threshold: that of the settings, see `effective_threshold`.
        timeout_s: longest time of the scores of one recording.
    """

    def __init__(
        self, comparisons: Comparisons, runner: Runner[float], *, threshold: float | None, timeout_s: float
    ) -> None:
        self._comparisons = comparisons
        self._runner = runner
        self._threshold = threshold
        self._timeout_s = timeout_s

    @contextmanager
    def follow(self, call: Call) -> Iterator[VoiceTrial]:
        """Keeps what is reported within the block, and scores it after the block, if there was an answer."""
        trial = VoiceTrial(self._comparisons if self._comparisons.chosen() else None)
        if not self._runner.ready:
            trial.give_up(Outcome.FAILED)
        try:
            yield trial
        finally:
            has_work = trial.served is not None and (bool(trial.windows) or not trial.is_open)
            trial.end((lambda: self._compare(trial, call.request_id)) if has_work else None)

    async def _compare(self, trial: VoiceTrial, request_id: str) -> Outcome:
        assert trial.served is not None  # noqa: S101
        served, threshold = trial.served
        model = self._runner.info
        scores = await self._scores(trial.samples, model, Call.within(self._timeout_s, request_id=request_id))
        of_served = [window.score for window in trial.windows if window.score is not None]
        windows = [replace(window, score=score) for window, score in zip(trial.windows, scores, strict=True)]
        own = effective_threshold(self._threshold, model.threshold)
        return report(
            self._comparisons.task,
            request_id,
            _verdict_of(served, threshold, trial.windows, of_served),
            _verdict_of(model, own, windows, scores),
            self._comparisons.observer,
        )

    async def _scores(self, samples: list[NDArray[np.int16]], model: ModelInfo, call: Call) -> list[float]:
        """The score of each window; a model that takes shorter ones is given their end.

        Raises:
            BonafideError: see `Runner.score`; also where a window has no score.
        """
        most = WINDOW_SAMPLES + samples_before(model)
        scores: list[float] = []
        for first in range(0, len(samples), self._runner.max_batch):
            part = [pcm[-most:] for pcm in samples[first : first + self._runner.max_batch]]
            scores += await self._runner.score(part, call, model)
        if not all(map(math.isfinite, scores)):
            raise Internal("the shadow gave no score for a window")
        return scores


def follow(shadow: VoiceShadow | None, call: Call) -> AbstractContextManager[VoiceTrial]:
    """As `VoiceShadow.follow`; None: there is no shadow, and nothing is kept."""
    return nullcontext(VoiceTrial(None)) if shadow is None else shadow.follow(call)


def _verdict_of(model: ModelInfo, threshold: float, windows: list[WindowVerdict], scores: list[float]) -> ModelVerdict:
    channels = sorted({window.channel for window in windows if window.channel is not None})
    headline = worst(channel_verdicts(windows, channels, threshold))
    score = overall_score(windows) if headline is None else headline.score
    assert score is not None  # noqa: S101  # only windows with a score are kept
    return ModelVerdict(model, threshold, score, label_of(score, threshold), scores)

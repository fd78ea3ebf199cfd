"""From scores to verdicts: which windows are judged, the score of a recording, the threshold, suspicious stretches.

One definition, for stored and live voices and for the evaluation. Imports of this project `decision` alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bonafide.decision import Answer, Band, decision_of, llr_of

DEFAULT_THRESHOLD = 0.5
SPOOF, BONAFIDE, NO_SPEECH = "spoof", "bonafide", "no_speech"
_NEIGHBOURS_S = 0.01
"""Seconds; windows with a smaller gap between them are adjacent."""


class WindowScore(NamedTuple):
    """The voice runner's result for one window, as it is cached.

    Attributes:
        score: P(spoof), 0..1; NaN where the model gave none.
        speech_ratio: share of the window that is speech, 0..1.
        members: scores of an ensemble's members, in their order; none of a single model.
    """

    score: float
    speech_ratio: float
    members: tuple[float, ...] = ()

    @classmethod
    def of(cls, numbers: Sequence[Any]) -> "WindowScore":
        """Reads what `numbers` gave."""
        score, speech_ratio, *members = numbers
        return cls(score, speech_ratio, tuple(members[0]) if members else ())

    @property
    def numbers(self) -> tuple[Any, ...]:
        """As a runner sends it: of a single model two numbers, which older releases of the service know."""
        return (self.score, self.speech_ratio, *((list(self.members),) if self.members else ()))


class PhotoScore(NamedTuple):
    """The face runner's result for one photo.

    Attributes:
        fake: P(fake), 0..1; NaN where the model gave none.
        members: scores of an ensemble's members, in their order; none of a single model.
    """

    fake: float
    members: tuple[float, ...] = ()

    @classmethod
    def of(cls, numbers: Any) -> "PhotoScore":
        """Reads what `numbers` gave."""
        if isinstance(numbers, list | tuple):
            return cls(numbers[0], tuple(numbers[1]))
        return cls(float(numbers))

    @property
    def numbers(self) -> Any:
        """As a runner sends it: of a single model a number, which older releases of the service know."""
        return (self.fake, list(self.members)) if self.members else self.fake


@dataclass(frozen=True)
class WindowSpan:
    """Position of a window in its recording or stream.

    Attributes:
        index: 0, 1, 2, ... through the recording or stream.
        start_s: seconds from its start.
        end_s: seconds from its start.
        fresh_s: seconds at its end that no earlier window held; less than `end_s - start_s` where windows overlap.
        channel: whose it is, from 0; None: of all channels together. Windows of several channels share an index.
    """

    index: int
    start_s: float
    end_s: float
    fresh_s: float
    channel: int | None = field(default=None, kw_only=True)

    @property
    def place(self) -> tuple[int, int | None]:
        """Its index and channel."""
        return self.index, self.channel


@dataclass(frozen=True)
class WindowVerdict(WindowSpan):
    """The verdict on one window; made by `judge_window`.

    Attributes:
        score: P(spoof), 0..1; None without speech, or where it is too short for the model.
        label: "spoof", "bonafide" or, without a score, "no_speech".
        speech_ratio: share of the window that is speech, 0..1.
        weight: of its score in that of the recording, see `SpeechCheck.weight`.
        member_scores: of an ensemble's members by their names; none without speech, and of a single model.
        llr: see `decision.llr_of`.
    """

    score: float | None
    label: str
    speech_ratio: float
    weight: float
    member_scores: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    llr: float | None = field(default=None, kw_only=True)

    @property
    def speech_s(self) -> float:
        """Seconds of speech that no earlier window held."""
        return self.speech_ratio * self.fresh_s


@dataclass(frozen=True)
class SpeechCheck:
    """Which windows are judged, and their weights.

    Attributes:
        min_ratio: least share of speech in a judged window, 0..1; 0 disables the check.
    """

    min_ratio: float

    def passes(self, speech_ratio: float) -> bool:
        """Whether a window has enough speech to be judged."""
        return speech_ratio >= self.min_ratio

    def weight(self, speech_ratio: float, seconds: float) -> float:
        """Weight of a judged window: its seconds of speech; with the check disabled, its seconds."""
        return seconds * speech_ratio if self.min_ratio else seconds


def judge_window(
    span: WindowSpan,
    score: float,
    speech_ratio: float,
    *,
    speech: SpeechCheck,
    threshold: float,
    members: Mapping[str, float] | None = None,
    prior_log_odds: float | None = None,
    least_s: float = 0.0,
) -> WindowVerdict | None:
    """The verdict on a window: its score counts if there is enough speech in it.

    A window that is shorter than the model takes has no score, as one without speech.

    Args:
        span: its position; audio that an earlier window held has no weight.
        score: P(spoof), 0..1, or NaN.
        speech_ratio: share of the window that is speech, 0..1, or NaN.
        speech: decides whether that is enough.
        threshold: a score at or above it is labelled spoof, 0..1.
        members: scores of an ensemble's members by their names.
        prior_log_odds: of the model, see `decision.llr_of`.
        least_s: length of the shortest window that the model takes, in seconds.

    Returns:
        None: it may have enough speech, and the model gave no score.
    """
    too_short = not math.isfinite(score) and span.end_s - span.start_s < least_s
    if too_short and not math.isfinite(speech_ratio):
        speech_ratio = 0.0  # not a sample was left of it
    counts = speech.passes(speech_ratio) and not too_short
    if not math.isfinite(speech_ratio) or (counts and not math.isfinite(score)):
        return None
    counted = score if counts else None
    return WindowVerdict(
        span.index,
        span.start_s,
        span.end_s,
        span.fresh_s,
        score=counted,
        label=label_of(counted, threshold),
        speech_ratio=speech_ratio,
        weight=speech.weight(speech_ratio, span.fresh_s),
        channel=span.channel,
        member_scores={} if counted is None else dict(members or {}),
        llr=llr_of(counted, prior_log_odds),
    )


def why_no_score(windows: Iterable[WindowVerdict], speech: SpeechCheck) -> str:
    """Why none of these windows has a score, in words.

    Args:
        windows: one at least; the model failed on none of them.
        speech: by which they were judged.
    """
    if any(speech.passes(window.speech_ratio) for window in windows):
        return "too short to be judged"
    return "no speech was found"


def label_of(score: float | None, threshold: float) -> str:
    """The label of a window or a recording; None: it has no score for lack of speech."""
    if score is None:
        return NO_SPEECH
    return SPOOF if score >= threshold else BONAFIDE


class _Mean:
    """A weighted mean of what was added so far; None of nothing."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float, weight: float) -> None:
        self._sum += value * weight
        self._weight += weight

    @property
    def value(self) -> float | None:
        return self._sum / self._weight if self._weight else None


def overall_score(windows: Iterable[WindowVerdict]) -> float | None:
    """The mean of the windows' scores, weighted by `weight`, 0..1; windows without a score do not count.

    Returns:
        None: no window has a score.
    """
    mean = _Mean()
    for window in windows:
        if window.score is not None:
            mean.add(window.score, window.weight)
    return mean.value


class MemberScores:
    """The same mean of each member's scores, as the windows come."""

    def __init__(self) -> None:
        self._means: dict[str, _Mean] = {}

    def add(self, window: WindowVerdict) -> None:
        """Takes the next window; without a score it does not count."""
        for name, score in window.member_scores.items():
            self._means.setdefault(name, _Mean()).add(score, window.weight)

    @property
    def so_far(self) -> dict[str, float]:
        """By the members' names; none of a single model, or without a score."""
        means = {name: mean.value for name, mean in self._means.items()}
        return {name: mean for name, mean in means.items() if mean is not None}


def overall_member_scores(windows: Iterable[WindowVerdict]) -> dict[str, float]:
    """See `MemberScores`."""
    scores = MemberScores()
    for window in windows:
        scores.add(window)
    return scores.so_far


def effective_threshold(setting: float | None, fitted: float | None) -> float:
    """The threshold in force: the setting, else the one fitted to the model, else 0.5."""
    if setting is not None:
        return setting
    return DEFAULT_THRESHOLD if fitted is None else fitted


@dataclass(frozen=True)
class SuspiciousStretch:
    """A range of adjacent windows that are labelled spoof.

    Attributes:
        start_s: start of the first of them.
        end_s: end of the last of them.
        score: of them together, as `overall_score`.
    """

    start_s: float
    end_s: float
    score: float


class SuspiciousRuns:
    """Runs of windows labelled spoof, as the windows come in order of time; they may overlap.

    A pause within a run belongs to it, one at its end does not. A bona fide window ends a run, and so does one that
    could not be scored and is therefore missing.
    """

    def __init__(self) -> None:
        self._found: list[SuspiciousStretch] = []
        self._running = False
        self._end_s = 0.0
        self._mean = _Mean()

    def add(self, window: WindowVerdict) -> None:
        """Takes the next window."""
        is_next = window.start_s < self._end_s + _NEIGHBOURS_S
        self._running = self._running and window.label != BONAFIDE and is_next
        if window.label == SPOOF and window.score is not None:
            start_s = self._found.pop().start_s if self._running else window.start_s
            self._mean = self._mean if self._running else _Mean()
            self._running = True
            self._mean.add(window.score, window.weight)
            score = self._mean.value
            assert score is not None  # noqa: S101
            self._found.append(SuspiciousStretch(start_s, window.end_s, score))
        self._end_s = window.end_s

    @property
    def so_far(self) -> tuple[SuspiciousStretch, ...]:
        """In order; the last may go on."""
        return tuple(self._found)


def suspicious_stretches(windows: Iterable[WindowVerdict]) -> tuple[SuspiciousStretch, ...]:
    """See `SuspiciousRuns`."""
    runs = SuspiciousRuns()
    for window in windows:
        runs.add(window)
    return runs.so_far


def answer_of(
    score: float | None,
    label: str,
    suspicious: Sequence[SuspiciousStretch] = (),
    *,
    band: Band | None,
    prior_log_odds: float | None,
    conditions: Sequence[str] = (),
) -> Answer:
    """What is said of a whole beside its score and label; arguments as the attributes of `Answer`, and see there."""
    return Answer(
        decision=decision_of(score, band),
        llr=llr_of(score, prior_log_odds),
        partially_spoofed=label == BONAFIDE and bool(suspicious),
        conditions=tuple(conditions),
    )

"""A live session as a state machine: audio in, windows to be scored out; scores in, verdicts out. No I/O, no clock.

The same audio gives the same windows, however it is split into messages; each is scored once. Run by `live.stream`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.conditions import ConditionMeter
from bonafide.audio.levels import LOUDEST
from bonafide.audio.plausibility import LevelRemarks
from bonafide.audio.reader import WINDOW_SECONDS
from bonafide.audio.resampling import SAMPLE_RATE, resample
from bonafide.audio.windows import Cut, Rest, WindowCutter
from bonafide.decision import Band
from bonafide.errors import InvalidRequest, TooLarge, UnreadableMedia
from bonafide.live.running_verdict import RunningVerdict
from bonafide.verdict import SpeechCheck, WindowSpan, WindowVerdict, judge_window

MIN_RATE, MAX_RATE = 8_000, 192_000
MIN_SECONDS = 0.25
"""Of a window, and between the starts of two; a `flush` does not judge less."""
_MAX_RATE_CHANGES = 16


def check_rate(rate: int) -> None:
    """Refuses an unsupported sample rate.

    Raises:
        InvalidRequest: outside 8,000..192,000 Hz.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidRequest(f"sample_rate must be {MIN_RATE} to {MAX_RATE} Hz")


def check_samples(samples: NDArray[np.float32]) -> None:
    """Refuses what is no sound.

    Args:
        samples: float32 array (n,).

    Raises:
        UnreadableMedia: samples that are not finite, or beyond any range.
    """
    loudest = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(loudest):
        raise UnreadableMedia("the audio holds samples that are not finite numbers")
    if loudest > LOUDEST:
        raise UnreadableMedia("samples lie far beyond any range: are they in another encoding?")


@dataclass(frozen=True)
class LiveConfig:
    """Windows of a session.

    Attributes:
        chunk_s: seconds of a window, 0.25..4.
        overlap_s: seconds that adjacent windows share, 0..`chunk_s` - 0.25.

    Raises:
        InvalidRequest: outside these ranges.
    """

    chunk_s: float = 1.0
    overlap_s: float = 0.0

    def __post_init__(self) -> None:
        if not MIN_SECONDS <= self.chunk_s <= WINDOW_SECONDS:
            raise InvalidRequest(f"chunk_duration must be {MIN_SECONDS} to {WINDOW_SECONDS} seconds")
        if not 0 <= self.overlap_s <= self.chunk_s - MIN_SECONDS:
            raise InvalidRequest(f"overlap_duration must be 0 to chunk_duration less {MIN_SECONDS} seconds")


@dataclass(frozen=True)
class LiveLimits:
    """Limits of a session.

    Attributes:
        max_message_s: seconds of audio in one message.
        idle_s: seconds without a message.
        max_session_s: seconds from its start, and seconds of audio.
    """

    max_message_s: float
    idle_s: float
    max_session_s: float


class Ending(StrEnum):
    """Why a session ended."""

    END = "end"
    IDLE = "idle"
    SESSION_LIMIT = "session_limit"
    GOING_AWAY = "going_away"


class LiveWindow(NamedTuple):
    """A window to be scored.

    Attributes:
        samples: float32 array (n,) at `rate`, mono; with what lies before the window where the model takes more.
        rate: in Hz.
        fresh: how many samples at the end no earlier window held.
    """

    span: WindowSpan
    samples: NDArray[np.float32]
    rate: int
    fresh: int


@dataclass(frozen=True)
class LiveWindowVerdict(WindowVerdict):
    """The verdict on a window of a session, and on the session so far.

    Attributes:
        running_score: smoothed P(spoof) so far, 0..1; None before any speech.
        running_label: changes only when `running_score` has clearly crossed the threshold.
    """

    running_score: float | None
    running_label: str


class LiveSession:
    """One session from its first sample to its last.

    Times are arguments, from any monotonic clock.

    Args:
        before_s: seconds before each full window that are given with it.
        band: in which nothing is decided, if decisions are asked for.
        prior_log_odds: of the model, see `decision.llr_of`.

    Attributes:
        config: in force.
        threshold: a score at or above it is labelled spoof.
        band: as given.
        prior_log_odds: as given.
        verdicts: of all windows judged so far, in order.
        running: the verdict so far.
        levels: what is odd about the windows so far.
        conditions: what weakens the verdict.
    """

    def __init__(
        self,
        limits: LiveLimits,
        threshold: float,
        speech: SpeechCheck,
        now: float,
        config: LiveConfig = LiveConfig(),
        before_s: float = 0.0,
        band: Band | None = None,
        prior_log_odds: float | None = None,
    ) -> None:
        self.config = config
        self.band = band
        self.prior_log_odds = prior_log_odds
        self.threshold = threshold
        self.verdicts: list[LiveWindowVerdict] = []
        self._limits = limits
        self._before_s = before_s
        self._speech = speech
        self._began = self._active_at = now
        self.running = RunningVerdict(threshold)
        self.levels = LevelRemarks()
        self.conditions = ConditionMeter()
        self._index = 0
        self._cutter: WindowCutter | None = None
        self._rate_changes = 0
        # Of the current cutter: its start in the stream, the samples it got, and those in its windows.
        self._origin_s = 0.0
        self._fed = self._windowed = 0
        # Samples that wait for a new cutter.
        self._rest = _nothing(SAMPLE_RATE)

    @property
    def rate(self) -> int:
        """Sample rate of the latest audio, in Hz."""
        return self._rest.rate if self._cutter is None else self._cutter.rate

    @property
    def audio_s(self) -> float:
        """Seconds of audio received."""
        if self._cutter is None:
            return self._origin_s + len(self._rest.unseen) / self._rest.rate
        return self._origin_s + self._fed / self._cutter.rate

    @property
    def judged_s(self) -> float:
        """Seconds of the windows that have a score."""
        return sum(each.fresh_s for each in self.verdicts if each.score is not None)

    @property
    def speech_s(self) -> float:
        """Seconds of speech in the windows judged so far."""
        return sum(each.speech_s for each in self.verdicts)

    @property
    def waiting_samples(self) -> int:
        """Samples that no window has held yet."""
        return len(self._rest.unseen) if self._cutter is None else self._cutter.unseen_samples

    @property
    def waiting_s(self) -> float:
        """Seconds that no window has held yet."""
        return self.waiting_samples / self.rate

    @property
    def due_at(self) -> float:
        """When the session ends unless a message arrives."""
        return min(self._active_at + self._limits.idle_s, self._began + self._limits.max_session_s)

    def overdue(self, now: float) -> Ending | None:
        """Whether the session is over, and why."""
        if now - self._began >= self._limits.max_session_s or self.audio_s > self._limits.max_session_s:
            return Ending.SESSION_LIMIT
        return Ending.IDLE if now - self._active_at >= self._limits.idle_s else None

    def message_received(self, now: float) -> None:
        """Records the arrival of a message."""
        self._active_at = now

    def configure(self, config: LiveConfig) -> None:
        """Applies to the audio that follows, and to samples that wait for a window."""
        if config != self.config:
            self._put_back()
            self.config = config

    def check_length(self, count: int, rate: int) -> None:
        """Raises those that depend on the number of samples of one channel, and their rate."""
        check_rate(rate)
        if count > self._limits.max_message_s * rate:
            raise TooLarge(f"more than {self._limits.max_message_s:g} s of audio in one message")

    def check(self, samples: NDArray[np.float32], rate: int) -> None:
        """Raises the errors of `feed` that depend on the samples alone."""
        self.check_length(len(samples), rate)
        check_samples(samples)

    def feed(self, samples: NDArray[np.float32], rate: int) -> list[LiveWindow]:
        """Takes audio and returns the windows that it completes.

        Args:
            samples: float32 array (n,), mono, nominally -1..1; other ranges are known by their level, see
                `audio.levels`.
            rate: in Hz, 8,000..192,000.

        Raises:
            InvalidRequest: another rate, or one that keeps changing.
            UnreadableMedia: samples that are not finite, or beyond any range.
            TooLarge: more seconds than a message may hold.
        """
        self.check(samples, rate)
        if not len(samples):
            return []
        windows = self._begin_cutter(rate) if self._cutter is None or self._cutter.rate != rate else []
        return windows + self._cut(samples)

    def flush(self) -> list[LiveWindow]:
        """The windows that are left, the last of which reaches back to be as long as the others.

        A rest under 0.25 s stays.
        """
        return self._flush(MIN_SECONDS)

    def finish(self) -> list[LiveWindow]:
        """As `flush`, at the end of the stream: no rest stays."""
        return self._flush(0.0)

    def _flush(self, least_s: float) -> list[LiveWindow]:
        windows = self._begin_cutter(self.rate) if self._cutter is None and len(self._rest.unseen) else []
        if self._cutter is not None and self.waiting_s >= least_s and (last := self._cutter.flush()):
            windows.append(self._window(last, self._cutter))
        return windows

    def judge(
        self, span: WindowSpan, score: float, speech_ratio: float, members: Mapping[str, float] | None = None
    ) -> LiveWindowVerdict | None:
        """The verdict on a scored window, which counts from now on.

        Args:
            span: of the window; in the order in which the windows were returned.
            score: P(spoof), 0..1, or NaN.
            speech_ratio: share of the window that is speech, 0..1, or NaN.
            members: scores of an ensemble's members by their names.

        Returns:
            None: see `judge_window`; the window does not count.
        """
        window = judge_window(
            span,
            score,
            speech_ratio,
            speech=self._speech,
            threshold=self.threshold,
            members=members,
            prior_log_odds=self.prior_log_odds,
        )
        if window is None:
            return None
        if window.score is not None:
            self.running.add(window.score, window.weight)
        verdict = LiveWindowVerdict(
            **asdict(window), running_score=self.running.p_spoof, running_label=self.running.label
        )
        self.verdicts.append(verdict)
        return verdict

    def _begin_cutter(self, rate: int) -> list[LiveWindow]:
        """Makes a cutter for this rate and feeds it the waiting samples, resampled if necessary."""
        if self._fed or len(self._rest.unseen):
            if self.rate != rate:
                self._rate_changes += 1
            if self._rate_changes > _MAX_RATE_CHANGES:
                raise InvalidRequest("the sample rate changes again and again")
        self._put_back()
        history, unseen = (resample(part[np.newaxis], self._rest.rate, rate)[0] for part in self._rest[:2])
        self._rest = _nothing(rate)
        hop_s = self.config.chunk_s - self.config.overlap_s
        # A shorter window is completed by the model, as a recording of that length is.
        before_s = self._before_s if self.config.chunk_s == WINDOW_SECONDS else 0.0
        self._cutter = WindowCutter(rate, self.config.chunk_s, hop_s, history, before_s)
        self._fed = self._windowed = 0
        return self._cut(unseen)

    def _put_back(self) -> None:
        """Takes out of the cutter the samples with which the next one continues."""
        if self._cutter is not None:
            end_s, self._rest = self.audio_s, self._cutter.rest
            self._origin_s = end_s - len(self._rest.unseen) / self._rest.rate
            self._cutter = None

    def _cut(self, samples: NDArray[np.float32]) -> list[LiveWindow]:
        assert self._cutter is not None  # noqa: S101
        self._fed += len(samples)
        return [self._window(cut, self._cutter) for cut in self._cutter.feed(samples)]

    def _window(self, cut: Cut, cutter: WindowCutter) -> LiveWindow:
        self._windowed += cut.fresh
        end_s = self._origin_s + self._windowed / cutter.rate
        start_s = max(0.0, end_s - min(len(cut.samples), cutter.window_samples) / cutter.rate)
        span = WindowSpan(self._index, start_s, end_s, fresh_s=cut.fresh / cutter.rate)
        self._index += 1
        return LiveWindow(span, cut.samples, cutter.rate, cut.fresh)


def _nothing(rate: int) -> Rest:
    return Rest(np.zeros(0, np.float32), np.zeros(0, np.float32), rate)

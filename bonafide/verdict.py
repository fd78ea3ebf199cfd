"""From scores to verdicts: what is judged, the score of a recording, the threshold, the stretches to listen to.

One definition, for stored and live voices and for the evaluation. Knows nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

DEFAULT_THRESHOLD = 0.5
SPOOF, BONAFIDE, NO_SPEECH = "spoof", "bonafide", "no_speech"
_NEIGHBOURS_S = 0.01
"""Windows whose times differ by less follow one another."""


class WindowScore(NamedTuple):
    """What the voice runner says of one window, and what is cached of it.

    Attributes:
        score: P(spoof), 0..1; NaN where the model gave none.
        speech: share of the whole window, padding included, in which somebody speaks, 0..1.
    """

    score: float
    speech: float

    def speech_ratio(self, window_s: float, true_s: float) -> float:
        """Share of what was really recorded in which somebody speaks, 0..1.

        Args:
            window_s: seconds of the window.
            true_s: seconds of it before the padding, above 0.
        """
        return min(self.speech * window_s / true_s, 1.0)


@dataclass(frozen=True)
class SpeechCheck:
    """Which windows are judged, and what they weigh.

    Attributes:
        min_ratio: share of its time in which somebody has to speak, 0..1; 0 switches the check off.
    """

    min_ratio: float

    def passes(self, speech_ratio: float) -> bool:
        """Whether a window has enough speech to be judged."""
        return speech_ratio >= self.min_ratio

    def weight(self, speech_ratio: float, seconds: float) -> float:
        """What a judged window weighs: its seconds of speech; without the check, its seconds."""
        return seconds * speech_ratio if self.min_ratio else seconds


def label_of(score: float | None, threshold: float) -> str:
    """The label of a window or a recording; None: it has no score for want of speech."""
    if score is None:
        return NO_SPEECH
    return SPOOF if score >= threshold else BONAFIDE


def overall_score(scores: Sequence[float], weights: Sequence[float]) -> float | None:
    """The weighted mean of the windows' scores; None: nothing was judged.

    Args:
        scores: P(spoof) of each judged window, 0..1.
        weights: of each of these windows, above 0.
    """
    if not scores:
        return None
    return sum(score * weight for score, weight in zip(scores, weights, strict=True)) / sum(weights)


def effective_threshold(setting: float | None, fitted: float | None) -> float:
    """From which score on an item is labelled spoof: as set, else as fitted to the model, else 0.5."""
    if setting is not None:
        return setting
    return DEFAULT_THRESHOLD if fitted is None else fitted


class JudgedWindow(Protocol):
    """What a stretch is made of."""

    @property
    def start_s(self) -> float:
        """Seconds from the start of the recording."""

    @property
    def end_s(self) -> float:
        """Seconds."""

    @property
    def score(self) -> float | None:
        """P(spoof), 0..1; None without speech."""

    @property
    def label(self) -> str:
        """See `label_of`."""

    @property
    def weight(self) -> float:
        """See `SpeechCheck.weight`."""


@dataclass(frozen=True)
class SuspiciousStretch:
    """Where neighbouring windows are labelled spoof.

    Attributes:
        start_s: start of the first of them.
        end_s: end of the last of them.
        score: of them together, as `overall_score`.
    """

    start_s: float
    end_s: float
    score: float


def suspicious_stretches(windows: Iterable[JudgedWindow]) -> tuple[SuspiciousStretch, ...]:
    """Runs of windows labelled spoof, in order.

    A pause within a run belongs to it, one at its end does not. A bona fide window ends a run, and so does one that
    could not be scored and is therefore missing.

    Args:
        windows: in order of time; they may overlap.
    """
    runs: list[list[JudgedWindow]] = []
    running, end_s = False, 0.0
    for window in windows:
        running = running and window.label != BONAFIDE and window.start_s < end_s + _NEIGHBOURS_S
        if window.label == SPOOF:
            if not running:
                runs.append([])
            runs[-1].append(window)
            running = True
        end_s = window.end_s
    return tuple(map(_stretch, runs))


def _stretch(windows: Sequence[JudgedWindow]) -> SuspiciousStretch:
    judged = [(window.score, window.weight) for window in windows if window.score is not None]
    score = overall_score([score for score, _ in judged], [weight for _, weight in judged])
    assert score is not None  # noqa: S101
    return SuspiciousStretch(windows[0].start_s, windows[-1].end_s, score)

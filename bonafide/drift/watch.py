"""Counts scores as they are answered, and measures how far the recent ones lie from the calibrated ones."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from bonafide.drift.distance import expected_counts, stability_index
from models.info import SCORE_BINS, ModelInfo, score_bin

FORMATS = frozenset(
    {
        "wav", "flac", "mp3", "ogg", "mp4", "matroska", "amr",
        "float32", "pcm16", "l16", "mulaw", "alaw", "g722", "opus", "container", "text",
        "jpeg", "png", "webp", "bmp", "gif", "cached",
    }
)  # fmt: skip
"""Values of the label `codec`; what is none of them is "other"."""
TRANSPORTS = frozenset({"http", "grpc", "websocket", "audiosocket"})
"""Values of the label `transport`, likewise."""
_OTHER = "other"
_MAX_VERSIONS = 16
"""Of a process's life; one more is "other", so that the number of series is bounded."""


class DriftObserver(Protocol):
    """Receives measurements of scores."""

    def score(self, labels: tuple[str, str, str, str], score: float) -> None:
        """A window or photo got this score; labels are task, version, transport and codec."""

    def drift(self, labels: tuple[str, str, str, str], distance: float) -> None:
        """The index of the most recent scores of these labels; 0 once another version answers in their place."""


@dataclass
class _Recent:
    """The bins of the most recent scores, and how many there are of each."""

    most: int
    bins: deque[int] = field(default_factory=deque)
    counts: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)

    def add(self, found: int) -> None:
        self.bins.append(found)
        self.counts[found] += 1
        if len(self.bins) > self.most:
            self.counts[self.bins.popleft()] -= 1


class ScoreWatch:
    """Watches the scores of one process.

    Args:
        observer: receives the measurements.
        recent: most recent scores that are compared, for each combination of labels; from half of them on there is a
            distance.
        spoof_share: see `expected_counts`.
    """

    def __init__(self, observer: DriftObserver, *, recent: int, spoof_share: float | None) -> None:
        self._observer = observer
        self._most = recent
        self._spoof_share = spoof_share
        self._versions: set[str] = set()
        self._recent: dict[tuple[str, str, str, str], _Recent] = {}
        self._newest: dict[tuple[str, bool], str] = {}
        self._measured: set[tuple[str, str, str, str]] = set()

    def answered(self, model: ModelInfo, transport: str, codec: str, scores: Iterable[float]) -> None:
        """Takes the scores of one verdict.

        Args:
            model: that gave them.
            transport: of the call.
            codec: in which the media came.
            scores: of its windows, or of the photo, 0..1.
        """
        labels = self._labels(model, transport, codec)
        self._forget_replaced(labels)
        kept = self._recent.setdefault(labels, _Recent(self._most))
        for score in scores:
            kept.add(score_bin(score))
            self._observer.score(labels, score)
        if model.fitted_scores is not None and labels[1] != _OTHER and 2 * len(kept.bins) >= self._most:
            expected = expected_counts(model.fitted_scores, self._spoof_share)
            self._observer.drift(labels, stability_index(expected, kept.counts))
            self._measured.add(labels)

    def _forget_replaced(self, labels: tuple[str, str, str, str]) -> None:
        """Another version answers now: the last distances of the one before would stay for ever, and alert."""
        runner = _runner_of(labels)
        if self._newest.setdefault(runner, labels[1]) == labels[1]:
            return
        self._newest[runner] = labels[1]
        for each in self._measured:
            if _runner_of(each) == runner and each[1] != labels[1]:
                self._observer.drift(each, 0.0)

    def _labels(self, model: ModelInfo, transport: str, codec: str) -> tuple[str, str, str, str]:
        version = model.version
        if version not in self._versions:
            if len(self._versions) < _MAX_VERSIONS:
                self._versions.add(version)
            else:
                version = _OTHER
        return (
            model.task,
            version,
            transport if transport in TRANSPORTS else _OTHER,
            codec if codec in FORMATS else _OTHER,
        )


def _runner_of(labels: tuple[str, str, str, str]) -> tuple[str, bool]:
    """The task, and whether it is of calls: jobs, which have no transport, have runners of their own."""
    return labels[0], labels[2] != _OTHER

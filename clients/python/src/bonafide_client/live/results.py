"""What a live session answers, as frozen dataclasses. A score is P(spoof), 0..1, or None without speech."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ..results import Decision, ModelIdentity, Stretch

_NEIGHBOURS_S = 0.01
"""Windows with a smaller gap between them are adjacent, as for the service."""

LiveLabel: TypeAlias = Literal["spoof", "bonafide", "no_speech"]


@dataclass(frozen=True)
class JudgedWindow:
    """The score of one window. Sequence and times go on through reconnections."""

    sequence: int
    start_s: float
    """From the start of the stream."""
    end_s: float
    label: LiveLabel
    score: float | None
    """P(spoof), whatever the label; None when too little of the window is speech."""
    speech_ratio: float
    member_scores: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    """P(spoof) by each member of an ensemble, by its name; empty for a single model, and without speech."""
    llr: float | None = field(default=None, kw_only=True)
    """Natural logarithm of the likelihood ratio, spoof over bona fide; None without speech or a calibration."""
    channel: str = field(default="", kw_only=True)
    """Whose it is, by name; empty of all channels together. Windows of several channels share a sequence and times."""

    @property
    def is_spoof(self) -> bool:
        """Whether this window is labelled spoof."""
        return self.label == "spoof"


@dataclass(frozen=True)
class LiveWindow(JudgedWindow):
    """The score of one window as it comes, and the verdict so far."""

    running_label: LiveLabel
    """Changes only when the running score has clearly crossed the threshold."""
    running_score: float | None
    """P(spoof), smoothed over the last seconds of speech of its channel."""


@dataclass(frozen=True)
class LiveChannel:
    """The verdict on one channel; fields as in `LiveSummary`."""

    number: int
    """From 0."""
    name: str
    """As the service is set to name it, else its number."""
    label: LiveLabel
    score: float | None
    windows: tuple[JudgedWindow, ...]
    suspicious: tuple[Stretch, ...]
    speech_seconds: float
    member_scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    decision: Decision | None = None
    llr: float | None = None
    partially_spoofed: bool = False
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiveSummary:
    """The verdict on all that was said."""

    label: LiveLabel
    score: float | None
    """P(spoof): the mean of the windows, weighted by their seconds of speech."""
    threshold: float
    """A score at or above it is labelled spoof."""
    windows: tuple[JudgedWindow, ...]
    suspicious: tuple[Stretch, ...]
    audio_seconds: float
    judged_seconds: float
    speech_seconds: float
    model: ModelIdentity
    calibrated: bool
    request_id: str
    """Finds the session, or the last part of one that was resumed, in the service's log."""
    warnings: tuple[str, ...] = ()
    """What is odd about the audio, or about that of the last part; none from older services."""
    member_scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    """P(spoof) by each member of an ensemble, by its name, taken together as `score` is."""
    evidence: str = ""
    """The signed record of the verdict on what the service was sent, or on the last part of a stream that was resumed;
    empty where it keeps none."""
    decision: Decision | None = None
    """`uncertain` between both ends of the band; None unless the service has one, and of a session that was resumed."""
    llr: float | None = None
    """Natural logarithm of the likelihood ratio; None without a calibration, and of a session that was resumed."""
    partially_spoofed: bool = False
    """Bona fide by its mean, with suspicious stretches."""
    conditions: tuple[str, ...] = ()
    """What weakens the verdict, or that on the last part; for programs, as `warnings` are for people."""
    channel: str = ""
    """Whose verdict this is, of `channels` that with the highest score; empty when all were judged as one."""
    channels: tuple[LiveChannel, ...] = ()
    """Of channels that were judged apart."""
    undecided: bool = False
    """The service makes decisions, and its one is on the last part of a session that was resumed: not on the whole."""

    @property
    def is_spoof(self) -> bool:
        """Whether the whole is labelled spoof."""
        return self.label == "spoof"

    @property
    def unjudged_seconds(self) -> float:
        """Seconds that no window holds, not even one without speech: the service could not judge them.

        Of channels that were judged apart, the most of any.
        """
        heard = (self.windows, *(channel.windows for channel in self.channels))
        return max(_missing_s(windows, self.audio_seconds) for windows in heard)

    def after(self, earlier: tuple[JudgedWindow, ...]) -> "LiveSummary":
        """The summary of a resumed session, together with the windows that were judged before it."""
        if not earlier:
            return self
        told = {channel.name: channel for channel in self.channels}
        names = list(dict.fromkeys([*told, *(window.channel for window in earlier if window.channel)]))
        if not names:
            return self._over(earlier + self.windows)
        of_each = []
        for place, name in enumerate(names):
            last = told.get(name)
            heard = [window for window in earlier if window.channel in ("", name)]
            whole = self._over((*heard, *(self.windows if last is None else last.windows)))
            of_each.append((whole, whole._of_channel(place if last is None else last.number, name, last)))
        worst, of_worst = max(of_each, key=lambda each: -1.0 if each[0].score is None else each[0].score)
        channels = tuple(sorted((channel for _, channel in of_each), key=lambda channel: channel.number))
        return replace(worst, channel=of_worst.name, channels=channels, conditions=of_worst.conditions)

    def _of_channel(self, number: int, name: str, last: LiveChannel | None) -> LiveChannel:
        """This summary as that of one channel; `last`: what the service tells of its last part."""
        return LiveChannel(
            number=number,
            name=name,
            label=self.label,
            score=self.score,
            windows=self.windows,
            suspicious=self.suspicious,
            speech_seconds=self.speech_seconds,
            member_scores=self.member_scores,
            partially_spoofed=self.partially_spoofed,
            conditions=self.conditions if last is None else last.conditions,
        )

    def _over(self, windows: tuple[JudgedWindow, ...]) -> "LiveSummary":
        """The summary of these windows, of one channel or of all together."""
        fresh_s = _fresh_s(windows)
        speech_s = [window.speech_ratio * seconds for window, seconds in zip(windows, fresh_s, strict=True)]
        weighted = list(zip(windows, speech_s if _speech_is_asked_for(windows) else fresh_s, strict=True))
        score = _mean(weighted)
        suspicious = tuple(_stretches(weighted))
        label: LiveLabel = "no_speech" if score is None else "spoof" if score >= self.threshold else "bonafide"
        return replace(
            self,
            label=label,
            score=score,
            decision=None,  # the service has decided on the last part alone
            undecided=self.decision is not None,
            llr=None,
            partially_spoofed=label == "bonafide" and bool(suspicious),
            member_scores=_member_means(weighted),
            windows=windows,
            suspicious=suspicious,
            judged_seconds=sum(
                seconds for window, seconds in zip(windows, fresh_s, strict=True) if window.score is not None
            ),
            speech_seconds=sum(speech_s),
        )


def _fresh_s(windows: Sequence[JudgedWindow]) -> list[float]:
    """Seconds of each window that no earlier one held."""
    ends = [0.0, *(window.end_s for window in windows)]
    return [window.end_s - max(window.start_s, end) for window, end in zip(windows, ends, strict=False)]


def _speech_is_asked_for(windows: Iterable[JudgedWindow]) -> bool:
    """False where a score without any speech shows that the service judges all, and windows weigh their seconds."""
    return all(window.score is None or window.speech_ratio > 0 for window in windows)


def _missing_s(windows: Iterable[JudgedWindow], audio_s: float) -> float:
    """Seconds of the audio that no window holds."""
    missing_s = end_s = 0.0
    for start_s, next_s in [*((window.start_s, window.end_s) for window in windows), (audio_s, audio_s)]:
        if start_s >= end_s + _NEIGHBOURS_S:
            missing_s += start_s - end_s
        end_s = max(end_s, next_s)
    return missing_s


def _mean(weighted: Iterable[tuple[JudgedWindow, float]]) -> float | None:
    return _mean_of((window.score, weight) for window, weight in weighted if window.score is not None)


def _mean_of(weighted: Iterable[tuple[float, float]]) -> float | None:
    judged = list(weighted)
    total = sum(weight for _, weight in judged)
    return sum(score * weight for score, weight in judged) / total if total else None


def _member_means(weighted: Sequence[tuple[JudgedWindow, float]]) -> dict[str, float]:
    """Of the members that all windows with a score have: another model may answer after a reconnection."""
    judged = [(window.member_scores, weight) for window, weight in weighted if window.score is not None]
    common = set.intersection(*(set(scores) for scores, _ in judged)) if judged else set()
    means = {name: _mean_of((scores[name], weight) for scores, weight in judged) for name in sorted(common)}
    return {name: mean for name, mean in means.items() if mean is not None}


def _stretches(weighted: Iterable[tuple[JudgedWindow, float]]) -> Iterable[Stretch]:
    """Runs of windows labelled spoof: a pause within one belongs to it, a bona fide window or a gap in time ends it."""
    runs: list[list[tuple[JudgedWindow, float]]] = []
    running, end_s = False, 0.0
    for window, weight in weighted:
        running = running and window.label != "bonafide" and window.start_s < end_s + _NEIGHBOURS_S
        if window.is_spoof:
            if not running:
                runs.append([])
            runs[-1].append((window, weight))
            running = True
        end_s = window.end_s
    for run in runs:
        if (score := _mean(run)) is not None:
            yield Stretch(run[0][0].start_s, run[-1][0].end_s, score)

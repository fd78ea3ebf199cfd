"""From windows of several channels to a verdict on each, and the one that stands for all: the worst.

One definition, for recordings, live sessions and the evaluation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from bonafide.decision import Answer, Band
from bonafide.verdict import (
    SuspiciousStretch,
    WindowVerdict,
    answer_of,
    label_of,
    overall_member_scores,
    overall_score,
    suspicious_stretches,
)

Verdict = TypeVar("Verdict", bound=WindowVerdict)


@dataclass(frozen=True)
class ChannelVerdict:
    """The verdict on one channel.

    Attributes:
        number: of the channel, from 0.
        name: as the settings name it, else its number.
        score: mean of its windows' scores, weighted by their seconds of speech, 0..1; None without speech.
        label: "spoof" if `score >= threshold`, else "bonafide"; "no_speech" without a score.
        speech_seconds: seconds of speech in it.
        windows: its windows in order, those before the channels parted being of all channels.
        suspicious: ranges of adjacent windows that are labelled spoof.
        member_scores: of an ensemble's members by their names, as `score`; none of a single model.
        answer: what is said of it beside score and label.
    """

    number: int
    name: str
    score: float | None
    label: str
    speech_seconds: float
    windows: tuple[WindowVerdict, ...]
    suspicious: tuple[SuspiciousStretch, ...]
    member_scores: Mapping[str, float] = field(default_factory=dict)
    answer: Answer = field(default_factory=Answer)


def channel_name(number: int | None, names: Sequence[str]) -> str:
    """What a channel is called; None, the mix of all, is called nothing."""
    if number is None:
        return ""
    return names[number] if number < len(names) else str(number)


def windows_of(windows: Iterable[Verdict], channel: int | None) -> tuple[Verdict, ...]:
    """The windows of a channel, and those of all channels together; None: those alone."""
    return tuple(window for window in windows if window.channel is None or window.channel == channel)


def no_conditions(channel: int | None, speech_s: float) -> Sequence[str]:
    """Nothing is known that weakens a verdict."""
    del channel, speech_s
    return ()


@dataclass(frozen=True)
class VerdictContext:
    """What is needed to say more of a channel, or of all together, than a score and a label.

    Attributes:
        band: in which nothing is decided; None: decisions are not asked for.
        prior_log_odds: of the model, see `decision.llr_of`.
        conditions: what weakens the verdict on a channel (None: on all together) with so many seconds of speech.
    """

    band: Band | None = None
    prior_log_odds: float | None = None
    conditions: Callable[[int | None, float], Sequence[str]] = no_conditions


class Findings(NamedTuple):
    """What windows say beside a score and a label.

    Attributes:
        speech_s: seconds of speech in them.
        suspicious: ranges of adjacent windows that are labelled spoof.
        member_scores: of an ensemble's members by their names; none of a single model.
        answer: what is said of it beside score and label.
    """

    speech_s: float
    suspicious: tuple[SuspiciousStretch, ...]
    member_scores: Mapping[str, float]
    answer: Answer


def findings_in(
    windows: Sequence[WindowVerdict], score: float | None, label: str, context: VerdictContext, channel: int | None
) -> Findings:
    """What is said beside a verdict.

    Args:
        windows: in order of time.
        score: of the verdict.
        label: of the verdict.
        context: of which the answer is made.
        channel: whose windows they are; None: of all together.
    """
    suspicious = suspicious_stretches(windows)
    speech_s = sum(window.speech_s for window in windows)
    answer = answer_of(
        score,
        label,
        suspicious,
        band=context.band,
        prior_log_odds=context.prior_log_odds,
        conditions=context.conditions(channel, speech_s),
    )
    return Findings(speech_s, suspicious, overall_member_scores(windows), answer)


def channel_verdicts(
    windows: Sequence[WindowVerdict],
    channels: Iterable[int],
    threshold: float,
    names: Sequence[str] = (),
    context: VerdictContext = VerdictContext(),
) -> tuple[ChannelVerdict, ...]:
    """The verdicts on these channels.

    Args:
        windows: of all of them, and of all channels together, in order of time.
        channels: numbers, from 0.
        threshold: a score at or above it is labelled spoof.
        names: of channels 0, 1, ...
        context: of which the answers are made.
    """
    return tuple(_verdict(number, windows_of(windows, number), threshold, names, context) for number in channels)


def _verdict(
    number: int, windows: tuple[WindowVerdict, ...], threshold: float, names: Sequence[str], context: VerdictContext
) -> ChannelVerdict:
    score = overall_score(windows)
    label = label_of(score, threshold)
    found = findings_in(windows, score, label, context, number)
    return ChannelVerdict(
        number=number,
        name=channel_name(number, names),
        score=score,
        label=label,
        speech_seconds=found.speech_s,
        windows=windows,
        suspicious=found.suspicious,
        member_scores=found.member_scores,
        answer=found.answer,
    )


def worst(verdicts: Sequence[ChannelVerdict]) -> ChannelVerdict | None:
    """The channel that stands for all: the highest score, the first of equals; None: there is no channel."""
    return max(verdicts, key=lambda each: -1.0 if each.score is None else each.score, default=None)

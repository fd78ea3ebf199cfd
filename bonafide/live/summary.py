"""The verdict on a whole live session: from its windows to one score, a label and the suspicious stretches.

Of channels that were judged apart, the worst stands for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.audio.conditions import with_speech
from bonafide.channels import (
    ChannelVerdict,
    Findings,
    VerdictContext,
    channel_name,
    channel_verdicts,
    findings_in,
    windows_of,
    worst,
)
from bonafide.decision import Answer
from bonafide.live.session import Ending, LiveSession
from bonafide.live.windows import LiveWindowVerdict
from bonafide.verdict import (
    SuspiciousStretch,
    answer_of,
    label_of,
    overall_score,
)
from models.info import ModelInfo


@dataclass(frozen=True)
class LiveSummary:
    """The verdict on a session: on the whole of it, or so far.

    Attributes:
        score: mean of the windows' scores, weighted by their seconds of speech; None without speech.
        label: "spoof" if `score >= threshold`, "bonafide", or "no_speech".
        audio_s: seconds received.
        judged_s: seconds of the windows that have a score.
        speech_s: seconds of speech.
        windows: all that were judged, in order; where channels were judged apart, those of the one that stands for all.
            None of a session so far, unless asked for.
        suspicious: ranges of adjacent windows that are labelled spoof.
        ending: why it ended.
        warnings: sentences about what is odd about the audio; none for most.
        member_scores: of an ensemble's members by their names, as `score`; none of a single model.
        evidence: the signed record of this verdict; empty: none is kept.
        answer: what is said of it beside score and label.
        channel: what the channel is called whose verdict this is, the worst of `channels`; empty of all together.
        channels: the verdicts on channels that were judged apart; none where all were judged as one.
        channel_mode: the choice of channels that was in force.
        names: of channels 0, 1, ...
    """

    score: float | None
    label: str
    threshold: float
    audio_s: float
    judged_s: float
    speech_s: float
    windows: tuple[LiveWindowVerdict, ...]
    suspicious: tuple[SuspiciousStretch, ...]
    ending: Ending
    model: ModelInfo
    warnings: tuple[str, ...] = ()
    member_scores: Mapping[str, float] = field(default_factory=dict)
    evidence: str = ""
    answer: Answer = field(default_factory=Answer)
    channel: str = ""
    channels: tuple[ChannelVerdict, ...] = ()
    channel_mode: ChannelMode = AUTO
    names: tuple[str, ...] = ()


def summary_of(
    session: LiveSession,
    ending: Ending,
    model: ModelInfo,
    source_warnings: Sequence[str] = (),
    names: tuple[str, ...] = (),
) -> LiveSummary:
    """Summarises a whole session.

    Args:
        session: that has ended.
        ending: why.
        model: that judged it.
        source_warnings: of what the windows were decoded from.
        names: of channels 0, 1, ...
    """
    channels = channel_verdicts(session.verdicts, session.channels, session.threshold, names, _context(session))
    headline = worst(channels)
    channel = None if headline is None else headline.number
    windows = windows_of(session.verdicts, channel)
    score = overall_score(windows)
    label = label_of(score, session.threshold)
    found = findings_in(windows, score, label, _context(session), channel)
    judged_s = sum(each.fresh_s for each in windows if each.score is not None)
    summary = _summary(session, channel, score, label, found, windows, judged_s, names, ending, model)
    warnings = tuple(dict.fromkeys([*source_warnings, *session.warnings()]))
    return replace(summary, channels=channels, warnings=warnings)


def running_summary(
    session: LiveSession, model: ModelInfo, names: tuple[str, ...] = (), *, with_windows: bool = False
) -> LiveSummary:
    """A session so far: scores and labels are the running verdicts, the rest is as `summary_of`; arguments likewise.

    Without its windows it takes no longer the longer a session has lasted.
    """

    def windows(channel: int | None) -> tuple[LiveWindowVerdict, ...]:
        return windows_of(session.verdicts, channel) if with_windows else ()

    def verdict(channel: int) -> ChannelVerdict:
        running, found = session.running_of(channel), _running_findings(session, channel)
        return ChannelVerdict(
            number=channel,
            name=channel_name(channel, names),
            score=running.p_spoof,
            label=running.label,
            speech_seconds=found.speech_s,
            windows=windows(channel),
            suspicious=found.suspicious,
            member_scores=found.member_scores,
            answer=found.answer,
        )

    channel, running = session.worst_now, session.running
    found = _running_findings(session, channel)
    score, label, judged_s = running.p_spoof, running.label, session.judged_s
    summary = _summary(session, channel, score, label, found, windows(channel), judged_s, names, Ending.END, model)
    return replace(summary, channels=tuple(map(verdict, session.channels)), warnings=tuple(session.warnings()))


def _running_findings(session: LiveSession, channel: int | None) -> Findings:
    tally, running, context = session.tally_of(channel), session.running_of(channel), _context(session)
    answer = answer_of(
        running.p_spoof,
        running.label,
        tally.suspicious,
        band=context.band,
        prior_log_odds=context.prior_log_odds,
        conditions=context.conditions(channel, tally.speech_s),
    )
    return Findings(tally.speech_s, tally.suspicious, tally.member_scores, answer)


def _summary(
    session: LiveSession,
    channel: int | None,
    score: float | None,
    label: str,
    found: Findings,
    windows: tuple[LiveWindowVerdict, ...],
    judged_s: float,
    names: tuple[str, ...],
    ending: Ending,
    model: ModelInfo,
) -> LiveSummary:
    """All but the channels and the warnings."""
    return LiveSummary(
        score=score,
        label=label,
        threshold=session.threshold,
        audio_s=session.audio_s,
        judged_s=judged_s,
        speech_s=found.speech_s,
        windows=windows,
        suspicious=found.suspicious,
        ending=ending,
        model=model,
        member_scores=found.member_scores,
        answer=found.answer,
        channel=channel_name(channel, names),
        channel_mode=session.mode,
        names=names,
    )


def _context(session: LiveSession) -> VerdictContext:
    return VerdictContext(
        session.band,
        session.prior_log_odds,
        lambda channel, speech_s: with_speech(session.conditions_of(channel), speech_s),
    )

"""The verdict on a whole live session: from its windows to one score, a label and the suspicious stretches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bonafide.audio.conditions import with_speech
from bonafide.decision import Answer
from bonafide.live.session import Ending, LiveSession, LiveWindowVerdict
from bonafide.verdict import (
    SuspiciousStretch,
    answer_of,
    label_of,
    overall_member_scores,
    overall_score,
    suspicious_stretches,
)
from models.info import ModelInfo


@dataclass(frozen=True)
class LiveSummary:
    """The verdict on a whole session.

    Attributes:
        score: mean of the windows' scores, weighted by their seconds of speech; None without speech.
        label: "spoof" if `score >= threshold`, "bonafide", or "no_speech".
        audio_s: seconds received.
        judged_s: seconds of the windows that have a score.
        speech_s: seconds of speech.
        windows: all that were judged, in order.
        suspicious: ranges of adjacent windows that are labelled spoof.
        ending: why it ended.
        warnings: sentences about what is odd about the audio; none for most.
        member_scores: of an ensemble's members by their names, as `score`; none of a single model.
        evidence: the signed record of this verdict; empty: none is kept.
        answer: what is said of it beside score and label.
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


def summary_of(
    session: LiveSession, ending: Ending, model: ModelInfo, container_warnings: Sequence[str] = ()
) -> LiveSummary:
    """Summarises a session; `container_warnings` come of what the windows were decoded from."""
    score = overall_score(session.verdicts)
    label, suspicious = label_of(score, session.threshold), suspicious_stretches(session.verdicts)
    return LiveSummary(
        score=score,
        label=label,
        threshold=session.threshold,
        audio_s=session.audio_s,
        judged_s=session.judged_s,
        speech_s=session.speech_s,
        windows=tuple(session.verdicts),
        suspicious=suspicious,
        ending=ending,
        model=model,
        warnings=tuple(dict.fromkeys([*container_warnings, *session.levels.sentences()])),
        member_scores=overall_member_scores(session.verdicts),
        answer=answer_of(
            score,
            label,
            suspicious,
            band=session.band,
            prior_log_odds=session.prior_log_odds,
            conditions=with_speech(session.conditions.names(), session.speech_s),
        ),
    )

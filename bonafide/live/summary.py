"""The verdict on a whole live session: from its windows to one score, label and the stretches to listen to again."""

from dataclasses import dataclass

from bonafide.runners import ModelInfo
from bonafide.streaming import Ending, LiveSession, WindowVerdict
from bonafide.verdict import overall_score


@dataclass(frozen=True)
class LiveSummary:
    """The last word on a session.

    Attributes:
        score: mean of the windows' scores, weighted by their seconds of speech; None without speech.
        label: "spoof" if `score >= threshold`, "bonafide", or "no_speech".
        audio_s: seconds heard.
        judged_s: seconds of the windows that have a score.
        speech_s: seconds in which somebody speaks.
        windows: all that were judged, in order.
        ending: why it ended.
    """

    score: float | None
    label: str
    threshold: float
    audio_s: float
    judged_s: float
    speech_s: float
    windows: tuple[WindowVerdict, ...]
    ending: Ending
    model: ModelInfo


def summary_of(session: LiveSession, ending: Ending, model: ModelInfo) -> LiveSummary:
    """Sums a session up."""
    scored = [(each.score, each.speech_s, each.place.fresh_s) for each in session.verdicts if each.score is not None]
    score = overall_score([each[0] for each in scored], [each[1] for each in scored]) if scored else None
    return LiveSummary(
        score=score,
        label="no_speech" if score is None else "spoof" if score >= session.threshold else "bonafide",
        threshold=session.threshold,
        audio_s=session.audio_s,
        judged_s=sum(each[2] for each in scored),
        speech_s=sum(each.speech_s for each in session.verdicts),
        windows=tuple(session.verdicts),
        ending=ending,
        model=model,
    )

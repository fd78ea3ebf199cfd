"""The verdict on a phone call as JSON: at `/calls/{call_id}`, at the webhook, and on connections that can carry it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from bonafide.api.websocket_replies import (
    ChannelName,
    ChannelTimelines,
    Decision,
    Evidence,
    Llr,
    MemberScores,
    Model,
    Stretch,
    TimelineWindow,
    VoiceLabel,
    channel_timelines,
    model_of,
    stretch,
    timeline_window,
)
from bonafide.live.phone_calls import PhoneVerdict
from bonafide.verdict import SPOOF


class CallVerdict(BaseModel):
    """The document of `/calls/{call_id}` and of the webhook. `windows` and `reason` are empty while the call lasts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    call_id: str
    stream_id: str
    status: Literal["in_progress", "done"]
    label: VoiceLabel
    is_spoof: bool
    p_spoof: float | None
    threshold: float
    audio_seconds: float
    judged_seconds: float
    speech_seconds: float
    windows: list[TimelineWindow]
    suspicious: list[Stretch]
    reason: str
    model: Model
    calibrated: bool
    request_id: str
    warnings: list[str]
    timestamp: float
    member_scores: MemberScores = {}
    evidence: Evidence = ""
    decision: Decision = None
    llr: Llr = None
    partially_spoofed: bool = False
    conditions: list[str] = []
    channel: ChannelName = ""
    channels: ChannelTimelines = []


def call_verdict(verdict: PhoneVerdict) -> bytes:
    """The JSON document of a verdict; see `CallVerdict`."""
    summary = verdict.summary
    document = CallVerdict(
        call_id=verdict.call_id,
        stream_id=verdict.stream_id,
        status="done" if verdict.done else "in_progress",
        label=verdict.label,
        is_spoof=verdict.label == SPOOF,
        p_spoof=verdict.p_spoof,
        threshold=summary.threshold,
        audio_seconds=summary.audio_s,
        judged_seconds=summary.judged_s,
        speech_seconds=summary.speech_s,
        windows=[timeline_window(each, summary.names) for each in summary.windows] if verdict.done else [],
        suspicious=[stretch(each) for each in summary.suspicious],
        reason=summary.ending.value if verdict.done else "",
        model=model_of(summary.model),
        calibrated=summary.model.calibrated,
        request_id=verdict.request_id,
        warnings=[*summary.warnings, *verdict.notes],
        timestamp=verdict.timestamp,
        member_scores=dict(summary.member_scores),
        evidence=summary.evidence,
        decision=summary.answer.decision,
        llr=summary.answer.llr,
        partially_spoofed=summary.answer.partially_spoofed,
        conditions=list(summary.answer.conditions),
        channel=summary.channel,
        channels=channel_timelines(summary, with_windows=verdict.done),
    )
    return document.model_dump_json().encode()

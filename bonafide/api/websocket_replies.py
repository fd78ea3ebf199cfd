"""The replies of `/ws/detect` as types. docs/websocket.md shows each.

`score` is always the probability of `label`, as first documented; `p_spoof` is P(spoof).
"""

import time
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bonafide.api.websocket_requests import Results
from bonafide.channels import channel_name
from bonafide.live.input_decoder import Encoding
from bonafide.live.stream import LiveStream
from bonafide.live.summary import LiveSummary
from bonafide.verdict import SPOOF, SuspiciousStretch, WindowVerdict
from models.info import ModelInfo

VoiceLabel = Literal["spoof", "bonafide", "no_speech"]


MemberScores = Annotated[dict[str, float], Field(exclude_if=lambda scores: not scores)]
"""P(spoof) by each member of an ensemble, by its name; of a single model frames have no such field."""


Evidence = Annotated[str, Field(exclude_if=lambda record: not record)]
"""The signed record of the verdict; frames of a service that keeps none have no such field."""
Decision = Annotated[
    Literal["bonafide", "spoof", "uncertain"] | None, Field(exclude_if=lambda decision: decision is None)
]
"""The score compared with both ends of the band; without a band frames have no such field."""

Llr = Annotated[float | None, Field(exclude_if=lambda llr: llr is None)]
"""Natural logarithm of the likelihood ratio, spoof over bona fide; no field without a score or a calibration."""


ChannelName = Annotated[str, Field(exclude_if=lambda name: not name)]
"""Whose a window or a verdict is; of all channels together frames have no such field."""


class _ToClient(BaseModel):
    """A frame, or part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Frame(_ToClient):
    timestamp: float = Field(default_factory=time.time)

    def text(self) -> str:
        """As it is sent."""
        return self.model_dump_json()


class Model(_ToClient):
    """The model that gave the result."""

    name: str
    version: str
    demo: bool


class Scores(_ToClient):
    """Both probabilities, or twice 0 without speech."""

    spoof: float
    bonafide: float


class Running(_ToClient):
    """The verdict so far, smoothed; `p_spoof` is null before any speech."""

    label: VoiceLabel
    p_spoof: float | None


class Result(_ToClient):
    """The verdict on one window. Without speech `score` is 0, as old clients need a number, and `p_spoof` is null."""

    sequence: int
    start_time_seconds: float
    end_time_seconds: float
    label: VoiceLabel
    score: float
    is_spoof: bool
    all_scores: Scores
    logits: list[float]
    p_spoof: float | None
    speech_ratio: float
    running: Running
    member_scores: MemberScores = {}
    llr: Llr = None
    channel: ChannelName = ""


class Connected(_Frame):
    """Answers `connect`."""

    type: Literal["connected"] = "connected"
    client_id: str
    request_id: str
    model: Model


class DetectionResult(_Frame):
    """Windows were judged: `result` is the last (of several channels, of the worst), `windows` are all of them."""

    type: Literal["detection_result"] = "detection_result"
    client_id: str
    result: Result
    windows: list[Result]
    threshold: float
    model: Model
    processing_time_ms: float
    error_message: str = ""


class Buffering(_Frame):
    """No window is complete yet."""

    type: Literal["buffering"] = "buffering"
    client_id: str
    buffer_duration: float
    buffer_size: int
    chunk_duration: float


class SessionConfig(_ToClient):
    """The configuration of a session; `channels` is null where the audio says itself.

    `channel_mode` is there where it is not `auto`, or several channels are interleaved.
    """

    sample_rate: int
    chunk_duration: float
    overlap_duration: float
    encoding: Encoding | None
    channels: int | None
    results: Results
    channel_mode: ChannelName = ""


class ConfigUpdated(_Frame):
    """Answers `config`."""

    type: Literal["config_updated"] = "config_updated"
    client_id: str
    config: SessionConfig


class Pong(_Frame):
    """Answers `ping`."""

    type: Literal["pong"] = "pong"


class SessionStats(_ToClient):
    """Statistics of a session; `buffer_size` in samples."""

    connected_at: float
    total_messages: int
    total_detections: int
    buffer_size: int
    buffer_duration: float
    audio_seconds: float
    judged_seconds: float
    speech_seconds: float


def session_stats(stream: LiveStream) -> SessionStats:
    """The statistics of an open session."""
    session = stream.session
    return SessionStats(
        connected_at=stream.opened_at,
        total_messages=stream.messages,
        total_detections=len(session.verdicts),
        buffer_size=session.waiting_samples,
        buffer_duration=session.waiting_s,
        audio_seconds=session.audio_s,
        judged_seconds=session.judged_s,
        speech_seconds=session.speech_s,
    )


class Stats(_Frame):
    """Answers `stats`."""

    type: Literal["stats"] = "stats"
    client_id: str
    stats: SessionStats


def model_of(info: ModelInfo) -> Model:
    """The description of a model for callers."""
    return Model(name=info.name, version=info.version, demo=info.demo)


class TimelineWindow(_ToClient):
    """One window of the summary."""

    sequence: int
    start_time_seconds: float
    end_time_seconds: float
    label: VoiceLabel
    p_spoof: float | None
    speech_ratio: float
    member_scores: MemberScores = {}
    llr: Llr = None
    channel: ChannelName = ""


def timeline_window(verdict: WindowVerdict, names: Sequence[str] = ()) -> TimelineWindow:
    """A judged window in a summary; `names` are those of channels 0, 1, ..."""
    return TimelineWindow(
        sequence=verdict.index,
        start_time_seconds=verdict.start_s,
        end_time_seconds=verdict.end_s,
        label=verdict.label,
        p_spoof=verdict.score,
        speech_ratio=verdict.speech_ratio,
        member_scores=dict(verdict.member_scores),
        llr=verdict.llr,
        channel=channel_name(verdict.channel, names),
    )


class Stretch(_ToClient):
    """A range of adjacent windows that are labelled spoof."""

    start_time_seconds: float
    end_time_seconds: float
    p_spoof: float


def stretch(found: SuspiciousStretch) -> Stretch:
    """A suspicious stretch in a summary."""
    return Stretch(start_time_seconds=found.start_s, end_time_seconds=found.end_s, p_spoof=found.score)


class ChannelTimeline(_ToClient):
    """The verdict on one channel in a summary."""

    number: int
    name: str
    label: VoiceLabel
    is_spoof: bool
    p_spoof: float | None
    speech_seconds: float
    windows: list[TimelineWindow]
    suspicious: list[Stretch]
    member_scores: MemberScores = {}
    decision: Decision = None
    llr: Llr = None
    partially_spoofed: bool = False
    conditions: list[str] = []


ChannelTimelines = Annotated[list[ChannelTimeline], Field(exclude_if=lambda channels: not channels)]
"""Of channels that were judged apart; where all were judged as one frames have no such field."""


def channel_timelines(summary: LiveSummary, *, with_windows: bool = True) -> list[ChannelTimeline]:
    """The channels of a summary."""
    return [
        ChannelTimeline(
            number=each.number,
            name=each.name,
            label=each.label,
            is_spoof=each.label == SPOOF,
            p_spoof=each.score,
            speech_seconds=each.speech_seconds,
            windows=[timeline_window(window, summary.names) for window in each.windows] if with_windows else [],
            suspicious=[stretch(found) for found in each.suspicious],
            member_scores=dict(each.member_scores),
            decision=each.answer.decision,
            llr=each.answer.llr,
            partially_spoofed=each.answer.partially_spoofed,
            conditions=list(each.answer.conditions),
        )
        for each in summary.channels
    ]


class Summary(_Frame):
    """Answers `end`; pushed too when the server ends a session that gets its results pushed."""

    type: Literal["summary"] = "summary"
    client_id: str
    label: VoiceLabel
    is_spoof: bool
    p_spoof: float | None
    threshold: float
    audio_seconds: float
    judged_seconds: float
    speech_seconds: float
    windows: list[TimelineWindow]
    suspicious: list[Stretch]
    reason: Literal["end", "idle", "session_limit", "going_away"]
    model: Model
    calibrated: bool
    request_id: str
    warnings: list[str] = Field(default_factory=list)
    member_scores: MemberScores = {}
    evidence: Evidence = ""
    decision: Decision = None
    llr: Llr = None
    partially_spoofed: bool = False
    conditions: list[str] = []
    channel: ChannelName = ""
    channels: ChannelTimelines = []


class Error(_Frame):
    """An error; the socket stays open."""

    type: Literal["error"] = "error"
    message: str
    code: str
    request_id: str


ServerMessage = Connected | DetectionResult | Buffering | ConfigUpdated | Pong | Stats | Summary | Error

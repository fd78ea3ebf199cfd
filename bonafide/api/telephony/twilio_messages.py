"""The frames of a Twilio media stream, as publicly documented, and the verdict on a phone call."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bonafide.api.websocket_messages import (
    Decision,
    Evidence,
    Llr,
    MemberScores,
    Model,
    Stretch,
    TimelineWindow,
    VoiceLabel,
    model_of,
    stretch,
    timeline_window,
)
from bonafide.errors import InvalidRequest
from bonafide.live.phone_calls import PhoneVerdict
from bonafide.verdict import SPOOF


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class MediaFormat(_Frame):
    """Encoding of the samples; the provider has only one."""

    encoding: str
    sample_rate: int = Field(alias="sampleRate")
    channels: int = 1


class StartOfCall(_Frame):
    """Identifies the call."""

    call_sid: str = Field(alias="callSid", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    tracks: list[str] = Field(default_factory=list)
    media_format: MediaFormat = Field(alias="mediaFormat")


class Connected(_Frame):
    """The first frame; has no information on the call."""

    event: Literal["connected"]


class Start(_Frame):
    """Sent once, before any media."""

    event: Literal["start"]
    stream_sid: str = Field(alias="streamSid", max_length=64)
    start: StartOfCall


class Payload(_Frame):
    """Base64 of mu-law samples at 8 kHz."""

    track: str = "inbound"
    payload: str


class Media(_Frame):
    """A few samples, usually 20 ms."""

    event: Literal["media"]
    media: Payload


class MarkName(_Frame):
    """Name of a mark."""

    name: str = Field(max_length=128)


class Mark(_Frame):
    """Requires the same mark as a reply."""

    event: Literal["mark"]
    mark: MarkName


class MarkAnswer(BaseModel):
    """The reply to a mark."""

    event: Literal["mark"] = "mark"
    stream_sid: str = Field(serialization_alias="streamSid")
    mark: MarkName


class Stop(_Frame):
    """The last frame."""

    event: Literal["stop"]


class Dtmf(_Frame):
    """A key was pressed; ignored."""

    event: Literal["dtmf"]


PhoneMessage = Connected | Start | Media | Mark | Stop | Dtmf
_PHONE_MESSAGE: TypeAdapter[PhoneMessage] = TypeAdapter(Annotated[PhoneMessage, Field(discriminator="event")])


def read_phone_message(text: str) -> PhoneMessage | None:
    """Reads a frame; None for an event that the provider may have added since.

    Raises:
        InvalidRequest: not JSON, or a known event without its fields.
    """
    try:
        return _PHONE_MESSAGE.validate_json(text)
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "union_tag_invalid":
            return None
        where = ".".join(map(str, first["loc"])) or "the frame"
        raise InvalidRequest(f"{where}: {first['msg']}") from error


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
        windows=[timeline_window(each) for each in summary.windows] if verdict.done else [],
        suspicious=[stretch(each) for each in summary.suspicious],
        reason=summary.ending.value if verdict.done else "",
        model=model_of(summary.model),
        calibrated=summary.model.calibrated,
        request_id=verdict.request_id,
        warnings=list(summary.warnings),
        timestamp=verdict.timestamp,
        member_scores=dict(summary.member_scores),
        evidence=summary.evidence,
        decision=verdict.answer.decision,
        llr=verdict.answer.llr,
        partially_spoofed=verdict.answer.partially_spoofed,
        conditions=list(verdict.answer.conditions),
    )
    return document.model_dump_json().encode()

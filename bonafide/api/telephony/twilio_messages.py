"""The frames of a Twilio media stream, as publicly documented."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bonafide.api.json_extent import require_frame
from bonafide.api.telephony.fields import Frame, refuse


class MediaFormat(Frame):
    """Encoding of the samples; the provider has only one."""

    encoding: str
    sample_rate: int = Field(alias="sampleRate")
    channels: int = 1


class StartOfCall(Frame):
    """Identifies the call."""

    call_sid: str = Field(alias="callSid", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    tracks: list[str] = Field(default_factory=list, fail_fast=True)
    media_format: MediaFormat = Field(alias="mediaFormat")


class Connected(Frame):
    """The first frame; has no information on the call."""

    event: Literal["connected"]


class Start(Frame):
    """Sent once, before any media."""

    event: Literal["start"]
    stream_sid: str = Field(alias="streamSid", max_length=64)
    start: StartOfCall


class Payload(Frame):
    """Base64 of mu-law samples at 8 kHz."""

    track: str = "inbound"
    payload: str


class Media(Frame):
    """A few samples, usually 20 ms."""

    event: Literal["media"]
    media: Payload


class MarkName(Frame):
    """Name of a mark."""

    name: str = Field(max_length=128)


class Mark(Frame):
    """Requires the same mark as a reply."""

    event: Literal["mark"]
    mark: MarkName


class MarkAnswer(BaseModel):
    """The reply to a mark."""

    event: Literal["mark"] = "mark"
    stream_sid: str = Field(serialization_alias="streamSid")
    mark: MarkName


class Stop(Frame):
    """The last frame."""

    event: Literal["stop"]


class Dtmf(Frame):
    """A key was pressed; ignored."""

    event: Literal["dtmf"]


PhoneMessage = Connected | Start | Media | Mark | Stop | Dtmf
_PHONE_MESSAGE: TypeAdapter[PhoneMessage] = TypeAdapter(Annotated[PhoneMessage, Field(discriminator="event")])


def read_phone_message(text: str) -> PhoneMessage | None:
    """Reads a frame; None for an event that the provider may have added since.

    Raises:
        InvalidRequest: not JSON, a known event without its fields, or too many lists and objects.
    """
    require_frame(text)
    try:
        return _PHONE_MESSAGE.validate_json(text)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "union_tag_invalid":
            return None
        refuse(error)

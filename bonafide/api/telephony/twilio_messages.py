"""The frames of a Twilio media stream, as publicly documented."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bonafide.errors import InvalidRequest


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

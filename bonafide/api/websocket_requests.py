"""The client's messages of `/ws/detect` as types. docs/websocket.md shows each.

They are read leniently, since several generations of clients are in use: unknown fields are ignored.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bonafide.api.json_extent import require_frame
from bonafide.errors import InvalidRequest
from bonafide.live.formats import Numbers
from bonafide.live.input_decoder import Encoding

Results = Literal["reply", "push"]


class _FromClient(BaseModel):
    """Unknown fields are ignored; so is the client's own `timestamp`, whatever its unit."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Connect(_FromClient):
    """Names the client; without it the client gets an id."""

    type: Literal["connect"]
    client_id: str | None = None


class AudioChunk(_FromClient):
    """Samples as text: base64 of little-endian float32, an array, or a string that holds a JSON array.

    `encoding` may name another encoding of the samples; older clients say "base64" or "json", which is seen anyway.
    """

    type: Literal["audio_chunk"]
    audio_data: str | Numbers
    sample_rate: int | None = None
    encoding: str | None = None


class Configure(_FromClient):
    """Changes the given values and keeps the others."""

    type: Literal["config"]
    sample_rate: int | None = None
    chunk_duration: float | None = None
    overlap_duration: float | None = None
    encoding: Encoding | None = None
    channels: int | None = None
    channel_mode: str | None = None
    results: Results | None = None


class Ping(_FromClient):
    """Requests a `pong`."""

    type: Literal["ping"]


class AskStats(_FromClient):
    """Requests the session's statistics."""

    type: Literal["stats"]


class Flush(_FromClient):
    """Judges what is buffered, although it is less than a window."""

    type: Literal["flush"]


class End(_FromClient):
    """Judges the rest, requests the summary, and ends the session."""

    type: Literal["end"]


ClientMessage = Connect | AudioChunk | Configure | Ping | AskStats | Flush | End
_CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


class UnknownMessage(InvalidRequest):
    """A text frame that is no message of the protocol: no JSON object, or one whose `type` is not known."""


def read_message(text: str) -> ClientMessage:
    """Reads a text frame.

    Raises:
        UnknownMessage: not JSON, or not a known type.
        InvalidRequest: an invalid field, which the message names, or too many lists and objects.
    """
    require_frame(text)
    try:
        return _CLIENT_MESSAGE.validate_json(text.removeprefix("\ufeff"))  # some programs begin JSON with this mark
    except ValidationError as error:
        raise _explained(error) from error


def _explained(error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return UnknownMessage("the frame is not JSON")
    if first["type"] in {"union_tag_invalid", "union_tag_not_found", "model_attributes_type", "dict_type"}:
        return UnknownMessage(
            "a frame is an object whose type is connect, audio_chunk, config, ping, stats, flush or end"
        )
    kind, *where = map(str, first["loc"])
    return InvalidRequest(f"{kind}: {'.'.join(where[:1])}: {first['msg']}")

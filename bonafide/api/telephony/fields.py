"""Fields that several protocols share: ids of calls, JSON frames, base64, and what an address may say."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from bonafide.api.json_extent import require_frame
from bonafide.audio.channel_mode import ChannelMode
from bonafide.errors import InvalidRequest

CALL_ID = r"^[A-Za-z0-9._:=+@-]{1,256}$"
"""An id of a call: it stands in the path of `/calls/{call_id}`, so that it has no slash."""


class Frame(BaseModel):
    """A message of a provider, who may add fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Query(Frame):
    call_id: str | None = Field(None, pattern=CALL_ID)
    sample_rate: int | None = Field(None, ge=8_000, le=192_000)
    channels: int | None = Field(None, ge=1, le=2)
    track: str = Field("inbound", pattern=r"^(inbound|outbound|both)$")
    channel_mode: str = Field("auto", pattern=r"^(auto|mix|separate|0|1)$")


@dataclass(frozen=True)
class Address:
    """What the query of a socket says of its call.

    Attributes:
        call_id: id of the call; None: the protocol tells it.
        sample_rate: in Hz; None: the protocol tells it, or has a usual one.
        channels: 1 or 2, likewise.
        track: which side is judged where sides come apart: "inbound" (the caller), "outbound" or "both".
        channel_mode: which of two channels are judged, see `ChannelMode`.
    """

    call_id: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    track: str = "inbound"
    channel_mode: str = "auto"

    @property
    def mode(self) -> ChannelMode:
        """The choice of channels."""
        return ChannelMode.parse(self.channel_mode)


def address_of(query: Iterable[tuple[str, str]]) -> Address:
    """Reads a query; other names are skipped.

    Raises:
        InvalidRequest: a value that cannot be read, or a name twice.
    """
    values: dict[str, str] = {}
    for name, value in query:
        if name in values and name in _Query.model_fields:
            raise InvalidRequest(f"the query names {name} twice")
        values[name] = value
    try:
        return Address(**_Query.model_validate(values).model_dump())
    except ValidationError as error:
        refuse(error, "the query's ")


def refuse(error: ValidationError, prefix: str = "") -> NoReturn:
    """Raises InvalidRequest with what is wrong with the first field, without its value."""
    first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "the frame"
    raise InvalidRequest(f"{prefix}{where}: {first['msg']}") from error


def read_object(text: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InvalidRequest: the text is none, or holds too many lists and objects.
    """
    require_frame(text)
    try:
        found = from_json(text)  # Python's own takes half a surrogate pair, with which no verdict can be written
    except ValueError as error:
        raise InvalidRequest("a text frame is no JSON") from error
    if not isinstance(found, dict):
        raise InvalidRequest("a text frame is no JSON object")
    return found


def decoded(payload: str) -> bytes:
    """The bytes of base64.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("a payload is not base64") from error

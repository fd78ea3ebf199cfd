"""Reads the frames that `/ws/detect` sends, strictly."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from bonafide.api.websocket_replies import ServerMessage

_SERVER_MESSAGE: TypeAdapter[Any] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])


def read_answer(text: str) -> ServerMessage:
    """Reads what a server sent; a field too many or too few is an error.

    Raises:
        ValidationError: not a frame of this server.
    """
    message: ServerMessage = _SERVER_MESSAGE.validate_json(text)
    return message

"""Vonage's WebSocket endpoint: `/ws/vonage`. A text frame with the format and the NCCO's `headers`, then L16.

The verdict is not sent on the socket: what the provider takes there are commands about audio that is played.
"""

import re
from collections.abc import Iterator
from typing import Any

from bonafide.api.telephony.events import Begin, Content, Event, Media, SilentProtocol
from bonafide.api.telephony.fields import CALL_ID, Address, read_object
from bonafide.errors import InvalidRequest

_FORMAT = re.compile(r"audio/l16\s*;\s*rate=(8000|16000|24000)", re.IGNORECASE)
_IDS = ("call_id", "uuid", "conversation_uuid")
"""Names in the NCCO's `headers` by which the call is found, the first that is there."""


class VonageProtocol(SilentProtocol):
    """One call.

    Args:
        address: may name the call.
    """

    def __init__(self, address: Address) -> None:
        self._call_id = address.call_id
        self._started = False

    def read(self, content: Content) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        if isinstance(content, bytes):
            if not self._started:
                raise InvalidRequest("audio came before websocket:connected")
            yield Media(content)
            return
        message = read_object(content)
        # Older accounts get the same frame without `event`.
        if message.get("event", "websocket:connected") != "websocket:connected":
            return
        if self._started:
            raise InvalidRequest("a call starts once")
        found = _FORMAT.fullmatch(str(message.get("content-type", ""))[:64])
        if found is None:
            raise InvalidRequest("content-type must be audio/l16;rate=8000, 16000 or 24000")
        self._started = True
        yield Begin(self._call_id or named_call(message, _IDS), "", "pcm16", int(found[1]))


def named_call(message: dict[str, Any], names: tuple[str, ...]) -> str:
    """The id of the call in a message of the operator's own making: the first of these fields that is there.

    Raises:
        InvalidRequest: it has none, or one that is no id.
    """
    found = next((message[name] for name in names if message.get(name) is not None), None)
    if not isinstance(found, str) or re.fullmatch(CALL_ID.strip("^$"), found) is None:
        raise InvalidRequest(f"the call has no id: name it in the address (call_id), or as one of {', '.join(names)}")
    return found

"""Asterisk's WebSocket channel (chan_websocket): `/ws/asterisk`. Events as plain text or JSON, media as binary frames.

The verdict is not sent on the socket: what Asterisk takes there are commands. An error hangs the channel up.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from bonafide.api.telephony.events import Begin, Content, Event, Make, Media, SilentProtocol
from bonafide.api.telephony.fields import Address, read_object
from bonafide.api.telephony.vonage import named_call
from bonafide.errors import BonafideError, InvalidRequest
from bonafide.live.input_decoder import Encoding

_IDS = ("channel_id", "connection_id")
_PLAIN = re.compile(r"[A-Z][A-Z0-9_]{0,63}(\s.*)?", re.DOTALL)
FORMATS: dict[str, tuple[Encoding, int]] = {
    "ulaw": ("mulaw", 8_000),
    "alaw": ("alaw", 8_000),
    "g722": ("g722", 16_000),
    "slin": ("pcm16", 8_000),
    **{f"slin{rate // 1000}": ("pcm16", rate) for rate in (12_000, 16_000, 24_000, 32_000, 48_000, 96_000, 192_000)},
    "slin44": ("pcm16", 44_100),
}
"""Asterisk's names of formats; it sends `slin` in the order of its machine, which is little-endian."""


class AsteriskProtocol(SilentProtocol):
    """One channel.

    Args:
        address: may name the call; else the channel's unique id does, or, where Asterisk does not tell it, the
            id of the connection.
    """

    def __init__(self, address: Address) -> None:
        self._call_id = address.call_id
        self._started = False
        self._json = False

    def read(self, content: Content) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        if isinstance(content, bytes):
            if not self._started:
                raise InvalidRequest("media came before MEDIA_START")
            yield Media(content)
            return
        event, fields = self._event(content)
        if event != "MEDIA_START":
            return  # MEDIA_XOFF, MEDIA_XON and the like are about media that are sent to Asterisk: none are
        if self._started:
            raise InvalidRequest("a channel starts once")
        found = FORMATS.get(str(fields.get("format", ""))[:16])
        if found is None:
            raise InvalidRequest(f"format must be one of {', '.join(FORMATS)}: name it in the dial string, c(slin16)")
        self._started = True
        connection = str(fields.get("connection_id", ""))[:256]
        yield Begin(self._call_id or named_call(fields, _IDS), connection, *found)

    def refusal(self, error: BonafideError) -> Make:
        """See `PhoneProtocol`."""
        del error
        return lambda: json.dumps({"command": "HANGUP"}) if self._json else "HANGUP"

    def _event(self, text: str) -> tuple[str, dict[str, Any]]:
        """Name and fields of an event, in either form."""
        if text.lstrip()[:1] == "{":
            self._json = True
            fields = read_object(text)
            return str(fields.get("event", "")), fields
        if not _PLAIN.fullmatch(text[:65]) and not _PLAIN.fullmatch(text):
            raise InvalidRequest("a text frame is no event of chan_websocket")
        name, *words = text[:8192].split()
        pairs = (word.partition(":") for word in words)
        return name, {key: value for key, _, value in pairs}

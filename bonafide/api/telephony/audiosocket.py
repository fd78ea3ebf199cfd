"""Asterisk's AudioSocket: messages of a TCP stream, each with a type (1 byte) and a length (2 bytes, big-endian).

The verdict is not sent on the connection: the protocol has no message for it.
"""

import uuid
from collections.abc import Iterator

from bonafide.api.telephony.events import Begin, Content, Ended, Event, Make, Media, Rate, SilentProtocol
from bonafide.errors import BonafideError, ErrorCode, InvalidRequest
from bonafide.live.session import Ending

HANGUP, ID, SILENCE, DTMF, ERROR = 0x00, 0x01, 0x02, 0x03, 0xFF
RATES = {
    0x10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Hz of signed 16 bit samples, little-endian, by type."""
_HEADER = 3
ID_BYTES = 16
ID_HEADER = bytes((ID, 0, ID_BYTES))
"""Begins each connection."""
_CODES = {
    ErrorCode.INVALID_REQUEST: 0x10,
    ErrorCode.UNREADABLE_MEDIA: 0x11,
    ErrorCode.TOO_LARGE: 0x12,
    ErrorCode.FORBIDDEN: 0x13,
    ErrorCode.OVERLOADED: 0x14,
    ErrorCode.UNAVAILABLE: 0x15,
    ErrorCode.DEADLINE_EXCEEDED: 0x16,
}
_INTERNAL = 0x1F
_JOINED_BYTES = 16_000
"""A second at the lowest rate. Each event costs more than its samples do, and messages may be of none."""


def message(kind: int, payload: bytes = b"") -> bytes:
    """One message; a payload has at most 65,535 bytes."""
    return bytes((kind,)) + len(payload).to_bytes(2, "big") + payload


def error_message(error: BonafideError) -> bytes:
    """An error of the service as a message with one byte, see docs/telephony.md."""
    return message(ERROR, bytes((_CODES.get(error.code, _INTERNAL),)))


class AudioSocketProtocol(SilentProtocol):
    """One connection. At most one incomplete message is held, of up to 65,538 bytes, beside what just arrived."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._call_id: str | None = None
        self._kind: int | None = None

    def read(self, content: Content) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        self._held += content if isinstance(content, bytes) else content.encode()
        media = bytearray()
        try:
            for event in self._messages():
                if media and (not isinstance(event, Media) or len(media) + len(event.data) > _JOINED_BYTES):
                    yield Media(bytes(media))
                    media.clear()
                if isinstance(event, Media):
                    media += event.data
                else:
                    yield event
        except InvalidRequest:
            if media:
                yield Media(bytes(media))  # what came before is judged
            raise
        if media:
            yield Media(bytes(media))

    def _messages(self) -> Iterator[Event]:
        """What the whole messages among what is held say, one by one."""
        while len(self._held) >= _HEADER:
            end = _HEADER + int.from_bytes(self._held[1:3], "big")
            kind = self._held[0]
            if self._call_id is None and kind != HANGUP and (kind, end) != (ID, _HEADER + ID_BYTES):
                raise InvalidRequest("the first message must be the call's id, 16 bytes")
            if len(self._held) < end:
                return
            payload = bytes(self._held[_HEADER:end])
            del self._held[:end]
            yield from self._events(kind, payload)

    def ending_message(self, ending: Ending) -> Make:
        """See `PhoneProtocol`."""
        del ending
        return lambda: message(HANGUP)

    def refusal(self, error: BonafideError) -> Make:
        """See `PhoneProtocol`."""
        return lambda: error_message(error)

    def _events(self, kind: int, payload: bytes) -> Iterator[Event]:
        if kind in (HANGUP, ERROR):
            yield Ended()
        elif kind == ID:
            if self._call_id is not None:
                raise InvalidRequest("a connection has one call")
            self._call_id = str(uuid.UUID(bytes=payload))
            yield Begin(self._call_id, "", "pcm16")
        elif kind in RATES:
            if self._kind is None:
                self._kind = kind
                yield Rate(RATES[kind])
            if self._kind != kind:
                raise InvalidRequest("the sample rate changes within the call")
            yield Media(payload)
        elif kind not in (SILENCE, DTMF):
            raise InvalidRequest(f"messages of type 0x{kind:02x} are not known")

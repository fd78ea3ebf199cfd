"""Frames of a phone call as Twilio's documentation of media streams shows them."""

import base64
from collections.abc import Iterator
from typing import Any

CALL, STREAM = "CA00000000000000000000000000000001", "MZ00000000000000000000000000000001"
CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
STOP = {"event": "stop", "sequenceNumber": "5", "stop": {"accountSid": "AC1", "callSid": CALL}, "streamSid": STREAM}
DTMF = {"event": "dtmf", "streamSid": STREAM, "sequenceNumber": "5", "dtmf": {"track": "inbound_track", "digit": "1"}}
FRAME_BYTES = 160
"""20 ms at 8 kHz, as the provider cuts them."""


def start(**other: Any) -> dict[str, Any]:
    """The frame that names the call; `other` replaces what it says."""
    return {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": "AC00000000000000000000000000000001",
            "streamSid": STREAM,
            "callSid": CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"FirstName": "Jane", "LastName": "Doe"},
            **other,
        },
        "streamSid": STREAM,
    }


def media(number: int, samples: bytes, track: str = "inbound") -> dict[str, Any]:
    """Frame `number` of the audio, mu-law."""
    payload = base64.b64encode(samples).decode()
    return {
        "event": "media",
        "sequenceNumber": str(number + 2),
        "media": {"track": track, "chunk": str(number + 1), "timestamp": str(20 * number), "payload": payload},
        "streamSid": STREAM,
    }


def mark(name: str) -> dict[str, Any]:
    """The provider's notice that playback has reached this mark."""
    return {"event": "mark", "sequenceNumber": "4", "streamSid": STREAM, "mark": {"name": name}}


def spoken(mulaw: bytes) -> Iterator[dict[str, Any]]:
    """All of a voice, 20 ms a frame."""
    for number, first in enumerate(range(0, len(mulaw), FRAME_BYTES)):
        yield media(number, mulaw[first : first + FRAME_BYTES])

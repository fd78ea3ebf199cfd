"""The WebSockets for telephony: which protocol each address speaks."""

from collections.abc import Callable

from starlette.websockets import WebSocket

from bonafide.api.telephony.asterisk import AsteriskProtocol
from bonafide.api.telephony.conversation import PhoneConversation
from bonafide.api.telephony.events import PhoneProtocol
from bonafide.api.telephony.fields import address_of
from bonafide.api.telephony.freeswitch import FreeSwitchProtocol
from bonafide.api.telephony.genesys import GenesysProtocol
from bonafide.api.telephony.genesys_signature import require_genesys_signature
from bonafide.api.telephony.paths import (
    ASTERISK_PATH,
    FREESWITCH_PATH,
    GENESYS_PATH,
    TELNYX_PATH,
    TWILIO_PATH,
    VONAGE_PATH,
)
from bonafide.api.telephony.socket_wire import SocketWire
from bonafide.api.telephony.telnyx import TelnyxProtocol
from bonafide.api.telephony.twilio import TwilioProtocol
from bonafide.api.telephony.twilio_signature import require_signature
from bonafide.api.telephony.vonage import VonageProtocol
from bonafide.app import App
from bonafide.live.stream import LiveStream
from bonafide.settings import Settings

PROTOCOLS: dict[str, Callable[[WebSocket], PhoneProtocol]] = {
    TWILIO_PATH: lambda _: TwilioProtocol(),
    ASTERISK_PATH: lambda websocket: AsteriskProtocol(address_of(websocket.query_params.multi_items())),
    FREESWITCH_PATH: lambda websocket: FreeSwitchProtocol(address_of(websocket.query_params.multi_items())),
    TELNYX_PATH: lambda websocket: TelnyxProtocol(address_of(websocket.query_params.multi_items())),
    GENESYS_PATH: lambda websocket: GenesysProtocol(
        address_of(websocket.query_params.multi_items()),
        websocket.headers.get("audiohook-session-id"),
        websocket.headers.get("audiohook-organization-id"),
    ),
    VONAGE_PATH: lambda websocket: VonageProtocol(address_of(websocket.query_params.multi_items())),
}
"""Raise InvalidRequest for an address that cannot be read."""


def require_provider(websocket: WebSocket, settings: Settings) -> None:
    """Checks the provider's signature where a secret for it is configured.

    Raises:
        Unauthenticated: the handshake is not signed as it must be.
    """
    path = websocket.url.path
    if path == TWILIO_PATH:
        require_signature(websocket.headers, settings)
    elif path == GENESYS_PATH:
        require_genesys_signature(_joined(websocket), _target(websocket), settings)


def phone_conversation(websocket: WebSocket, stream: LiveStream, app: App) -> PhoneConversation:
    """The conversation for a socket, by its address.

    Raises:
        InvalidRequest: its query cannot be read.
    """
    protocol = PROTOCOLS[websocket.url.path](websocket)
    return PhoneConversation(SocketWire(websocket, app.settings.live_max_message_bytes), protocol, stream, app)


def _joined(websocket: WebSocket) -> dict[str, str]:
    return {name: ", ".join(websocket.headers.getlist(name)) for name in websocket.headers}


def _target(websocket: WebSocket) -> str:
    """Path and query, as they were sent."""
    path: bytes = websocket.scope.get("raw_path") or websocket.url.path.encode()
    query: bytes = websocket.scope.get("query_string", b"")
    return (path.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")

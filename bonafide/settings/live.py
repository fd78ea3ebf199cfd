"""Live sessions: WebSocket, telephony, gRPC."""

from typing import Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from bonafide.settings.group import MIB, SettingsGroup
from bonafide.settings.types import Base64Secret, LinkedPort, ListeningHost, Networks, PublicUrl


class LiveSettings(SettingsGroup):
    """Live sessions and phone calls."""

    live_max_sessions: int = Field(256, ge=0)
    """Live sessions open at one time; one more is refused."""
    live_max_sessions_per_caller: int = Field(64, ge=1)
    """Of these, how many one API key may have open."""
    live_chunk_s: float = Field(1.0, ge=0.25, le=4.0)
    """Seconds of a live window where the client names none."""
    live_overlap_s: float = Field(0.0, ge=0.0)
    """Seconds that neighbouring live windows share where the client names none; at most `live_chunk_s` less 0.25."""
    live_max_message_bytes: int = Field(2 * MIB, ge=64 * 1024)
    """Largest WebSocket message; a larger one is answered `too_large`, over 64 MiB it closes the socket with 1009."""
    live_max_frames_per_s: int = Field(1000, ge=10)
    """WebSocket frames taken from one socket in a second, pings and fragments too; what comes faster waits."""
    live_max_waiting_bytes: int = Field(256 * MIB, ge=0)
    """WebSocket messages that wait to be judged, of all sockets; one may have a sixteenth, and always one message."""
    live_max_message_s: float = Field(60.0, ge=1.0)
    """Most audio in one message."""
    live_idle_s: float = Field(60.0, gt=0.0)
    """A session ends when nothing has been received for so long."""
    live_max_session_s: float = Field(4 * 3600.0, gt=0.0)
    """Longest session, in time and in audio, of all channels that are judged apart together."""
    live_timeout_s: float = Field(30.0, gt=0.0)
    """Longest time for the scores of a few windows; after it they have none."""
    live_send_timeout_s: float = Field(10.0, gt=0.0)
    """A session is cut off when its client reads nothing for so long."""
    call_verdict_ttl_s: int = Field(3600, ge=1)
    """How long the verdict on a phone call is readable by its id."""
    webhook_url: HttpUrl | None = None
    """Where verdicts on phone calls are posted; unset: nowhere."""
    webhook_secret: SecretStr = SecretStr("")
    """Signs what is posted (HMAC-SHA256, header `x-bonafide-signature`); empty: unsigned."""
    twilio_auth_token: SecretStr | None = None
    """Token of the Twilio account; `/ws/twilio` then accepts only what is signed with it, and requires no API key."""
    twilio_url: PublicUrl = None
    """The address of `/ws/twilio` as configured at Twilio, `wss://...`: it is what is signed."""
    asterisk_websocket: bool = False
    """Whether `/ws/asterisk` takes calls of Asterisk's WebSocket channel (docs/telephony.md)."""
    freeswitch: bool = False
    """Whether `/ws/freeswitch` takes calls of FreeSWITCH' mod_audio_stream."""
    telnyx: bool = False
    """Whether `/ws/telnyx` takes calls of Telnyx' media streaming."""
    vonage: bool = False
    """Whether `/ws/vonage` takes calls of Vonage's WebSocket endpoint."""
    genesys: bool = False
    """Whether `/ws/genesys` takes calls of Genesys AudioHook."""
    genesys_api_key: SecretStr | None = None
    """API key of the AudioHook integration; with `genesys_client_secret`, whose signatures name it."""
    genesys_client_secret: Base64Secret = None
    """Client secret of the integration, base64; `/ws/genesys` then accepts only what it signs, and requires no key."""
    audiosocket_port: LinkedPort = Field(None, ge=1, le=65535)
    """Port of Asterisk's AudioSocket, without key and TLS; unset: none."""
    audiosocket_host: ListeningHost = "127.0.0.1"
    """Address that this port listens on."""
    audiosocket_networks: Networks = ()
    """Addresses or networks that may call it: `10.0.0.5,10.1.0.0/16`; empty: all that reach it."""
    live_ping_s: float = Field(20.0, gt=0.0)
    """Time between WebSocket pings, and for their answer; a dead connection is found after both."""

    @model_validator(mode="after")
    def _live_windows_advance(self) -> Self:
        if self.live_overlap_s > self.live_chunk_s - 0.25:
            raise ValueError("BONAFIDE_LIVE_OVERLAP_S must be at most BONAFIDE_LIVE_CHUNK_S less 0.25")
        return self

    @model_validator(mode="after")
    def _signatures_need_the_address(self) -> Self:
        if self.twilio_auth_token is not None and not self.twilio_url:
            raise ValueError("BONAFIDE_TWILIO_AUTH_TOKEN is set, so BONAFIDE_TWILIO_URL must be set too")
        return self

    @model_validator(mode="after")
    def _genesys_is_whole(self) -> Self:
        if (self.genesys_api_key is None) != (self.genesys_client_secret is None):
            raise ValueError("BONAFIDE_GENESYS_API_KEY and BONAFIDE_GENESYS_CLIENT_SECRET go together")
        if self.genesys_client_secret is not None and not self.genesys:
            raise ValueError("BONAFIDE_GENESYS_CLIENT_SECRET is set, so BONAFIDE_GENESYS must be true")
        return self

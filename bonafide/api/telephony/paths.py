"""Addresses of the doors for telephony, and which of them the settings open. Imported by every process: kept light."""

from bonafide.settings import Settings

TWILIO_PATH = "/ws/twilio"
ASTERISK_PATH = "/ws/asterisk"
FREESWITCH_PATH = "/ws/freeswitch"
TELNYX_PATH = "/ws/telnyx"
GENESYS_PATH = "/ws/genesys"
VONAGE_PATH = "/ws/vonage"


def open_paths(settings: Settings) -> frozenset[str]:
    """The addresses that are served, besides Twilio's, which always is."""
    doors = {
        ASTERISK_PATH: settings.asterisk_websocket,
        FREESWITCH_PATH: settings.freeswitch,
        TELNYX_PATH: settings.telnyx,
        GENESYS_PATH: settings.genesys,
        VONAGE_PATH: settings.vonage,
    }
    return frozenset(path for path, is_open in doors.items() if is_open)


def signed_paths(settings: Settings) -> frozenset[str]:
    """Addresses whose handlers require the provider's signature instead of a key."""
    signed = {TWILIO_PATH: settings.twilio_auth_token, GENESYS_PATH: settings.genesys_client_secret}
    return frozenset(path for path, secret in signed.items() if secret is not None)


def query_key_paths(settings: Settings) -> frozenset[str]:
    """Addresses that take the key in the query too, for providers that cannot be told to send a header."""
    return open_paths(settings) - {GENESYS_PATH}

"""Authentication on `/ws/twilio`: the provider sends no API key, but signs the address that it is set to call."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from bonafide.errors import Unauthenticated
from bonafide.settings import Settings


def require_signature(headers: Mapping[str, str], settings: Settings) -> None:
    """Checks the provider's signature. Without a token nothing is checked; where keys are required, one was sent.

    Raises:
        Unauthenticated: the handshake is not signed with the account's token.
    """
    if settings.twilio_auth_token is None:
        return
    token, url = settings.twilio_auth_token.get_secret_value(), settings.twilio_url or ""
    expected = base64.b64encode(hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()).decode()
    if not hmac.compare_digest(expected.encode(), headers.get("x-twilio-signature", "").encode()):
        raise Unauthenticated("the handshake is not signed by the account that BONAFIDE_TWILIO_AUTH_TOKEN is of")

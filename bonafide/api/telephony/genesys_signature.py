"""Authentication on `/ws/genesys`: HTTP message signatures (hmac-sha256) over the handshake, and the API key."""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Mapping

from bonafide.errors import Unauthenticated
from bonafide.settings import Settings

_LABEL = r"[a-z*][a-z0-9_.*-]*"
_STRING = r'"[\x20\x21\x23-\x5b\x5d-\x7e]*"'
_INPUT = re.compile(rf"({_LABEL})=(\(((?:{_STRING}(?: {_STRING})*)?)\)((?:;{_LABEL}=(?:{_STRING}|\d{{1,15}}))*))")
_SIGNATURE = re.compile(rf"({_LABEL})=:([A-Za-z0-9+/]+={{0,2}}):")
_PARAMETER = re.compile(rf";({_LABEL})=(?:\"([^\"]*)\"|(\d+))")
_REQUIRED = frozenset(
    (
        "@request-target",
        "@authority",
        "audiohook-organization-id",
        "audiohook-session-id",
        "audiohook-correlation-id",
        "x-api-key",
    )
)
_MAX_AGE_S = 10
_SKEW_S = 3
_MIN_NONCE = 22


def require_genesys_signature(
    headers: Mapping[str, str], target: str, settings: Settings, now: float | None = None
) -> None:
    """Checks key and signature of a handshake. Without a client secret nothing is checked; a key of ours was shown.

    Args:
        headers: of the handshake, by lower-case names; several of a name joined by ", ".
        target: path and query, as sent.
        settings: key and secret.
        now: seconds since 1970; None: the present.

    Raises:
        Unauthenticated: the handshake is not signed with the client secret, or not lately.
    """
    if settings.genesys_client_secret is None or settings.genesys_api_key is None:
        return
    secret = base64.b64decode(settings.genesys_client_secret.get_secret_value())
    key = settings.genesys_api_key.get_secret_value()
    if not _is_signed(headers, target, key, secret, time.time() if now is None else now):
        raise Unauthenticated("the handshake is not signed with the client secret of the integration")


def _is_signed(headers: Mapping[str, str], target: str, key: str, secret: bytes, now: float) -> bool:
    described = _INPUT.fullmatch(headers.get("signature-input", "").strip())
    signed = _SIGNATURE.fullmatch(headers.get("signature", "").strip())
    if described is None or signed is None or described[1] != signed[1]:
        return False
    names = [name.strip('"') for name in described[3].split(" ") if name]
    found = _PARAMETER.findall(described[4])
    parameters = {name: text or number for name, text, number in found}
    if len(parameters) != len(found) or len(set(names)) != len(names) or not set(names) >= _REQUIRED:
        return False
    if not _is_recent(parameters, now) or len(parameters.get("nonce", "")) < _MIN_NONCE:
        return False
    if parameters.get("alg", "hmac-sha256") != "hmac-sha256":
        return False
    if not (_same(parameters.get("keyid", ""), key) and _same(headers.get("x-api-key", ""), key)):
        return False
    lines = []
    for name in names:
        value = {"@request-target": target, "@authority": headers.get("host", "").lower()}.get(name)
        value = headers.get(name) if value is None else value
        if not value or (name.startswith("@") and name not in _REQUIRED):
            return False
        lines.append(f'"{name}": {value.strip()}')
    lines.append(f'"@signature-params": {described[2]}')
    expected = hmac.new(secret, "\n".join(lines).encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
    try:
        return hmac.compare_digest(expected, base64.b64decode(signed[2], validate=True))
    except binascii.Error:
        return False


def _is_recent(parameters: Mapping[str, str], now: float) -> bool:
    try:
        created, expires = int(parameters.get("created", "")), int(parameters.get("expires", "") or 2**53)
    except ValueError:
        return False
    return now - _MAX_AGE_S - _SKEW_S <= created <= now + _SKEW_S and expires >= now - _SKEW_S


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(errors="replace"), right.encode(errors="replace"))

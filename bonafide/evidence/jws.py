"""A record as a compact JWS (RFC 7515, 8037): three parts of base64url, signed with Ed25519."""

import json
from collections.abc import Mapping
from typing import Any

from bonafide.evidence.base64url import encode
from bonafide.evidence.keys import SigningKeys

TYPE = "bonafide-evidence+jws"


def signed(payload: Mapping[str, Any], keys: SigningKeys) -> str:
    """The compact JWS of a payload; `kid` in its header names the key."""
    header = {"alg": "EdDSA", "kid": keys.kid, "typ": TYPE}
    text = f"{_part(header)}.{_part(payload)}"
    return f"{text}.{encode(keys.sign(text.encode()))}"


def _part(value: Mapping[str, Any]) -> str:
    return encode(json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode())

"""Base64 as in JWS, read strictly: every text has one way to be written, so no character of it can be changed."""

import base64
import re

_ALPHABET = re.compile(rb"[A-Za-z0-9_-]*")


def decode(text: bytes) -> bytes:
    """The bytes of base64url without padding.

    Raises:
        ValueError: other characters, or bits that say nothing.
    """
    if not _ALPHABET.fullmatch(text):
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not base64url as it is written")
    return data


def encode(data: bytes) -> bytes:
    """Without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")

"""Base64 as in JWS: the alphabet for URLs, without padding."""

import base64


def encode(data: bytes) -> str:
    """The text of bytes."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

"""Base64 as programs write it: of one line or many, in either alphabet, padded or not, bare or as a data URL."""

import binascii
import re

_DATA_URL = re.compile(rb"data:[^,]{0,200},", re.IGNORECASE)
_STANDARD = bytes.maketrans(b"-_", b"+/")


def decode_base64(text: str) -> bytes:
    """The bytes that a text stands for. White space counts for nothing.

    Raises:
        ValueError: it is not base64.
    """
    data = text.strip().encode("ascii")
    if prefix := _DATA_URL.match(data):
        if not prefix[0].lower().endswith(b";base64,"):
            raise ValueError("a data URL that is not base64")
        data = data[prefix.end() :]
    data = data.translate(_STANDARD, b" \t\r\n")
    if not data.endswith(b"="):
        data += b"=" * (-len(data) % 4)
    return binascii.a2b_base64(data, strict_mode=True)

"""Messages between the service and a decoding process: a JSON header and raw bytes, never pickled objects.

A decoding process may have been compromised by the bytes that it reads, so its output is bounded and checked.
"""

import json
import struct
from typing import Any, BinaryIO, NamedTuple

PREFIX = struct.Struct("!IQ")
"""Bytes of the header, bytes of the payload."""
MAX_HEADER_BYTES = 1 << 20
"""Warnings and the positions of windows fill a few kilobytes."""


Media = bytes | bytearray
"""A file. Whoever hands a bytearray to a decoding process gives it away: it is empty afterwards."""


class Frame(NamedTuple):
    """One message.

    Attributes:
        header: plain JSON values.
        payload: samples, pixels or a file.
    """

    header: dict[str, Any]
    payload: Media


def packed(header: dict[str, Any], payload_bytes: int) -> bytes:
    """The bytes before the payload: both lengths, and the header."""
    text = json.dumps(header).encode()
    return PREFIX.pack(len(text), payload_bytes) + text


def header_of(text: bytes | bytearray) -> dict[str, Any]:
    """Reads a header.

    Raises:
        ValueError: not a JSON object.
    """
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("the header of a message is not an object")
    return header


def read_frame(stream: BinaryIO) -> Frame | None:
    """In a decoding process: the service's next message; None when the service has closed the connection.

    It may close anywhere, in the middle of a message too, and with replies unread, which resets the connection.
    """
    try:
        prefix = stream.read(PREFIX.size)
        if len(prefix) < PREFIX.size:
            return None
        header_bytes, payload_bytes = PREFIX.unpack(prefix)
        header = stream.read(header_bytes)
        payload = stream.read(payload_bytes)
    except ConnectionResetError:
        return None
    is_whole = len(header) == header_bytes and len(payload) == payload_bytes
    return Frame(header_of(header), payload) if is_whole else None

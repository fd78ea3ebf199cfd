"""HTTP/2 as bytes, for gRPC calls that no client library makes."""

import struct
from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of this kind."""
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def empty_call(path: str, stream: int = 1, more: Mapping[str, bytes] | None = None) -> bytes:
    """A call with an empty message; `more`: metadata besides what gRPC needs."""
    headers = {":method": b"POST", ":scheme": b"http", ":path": path.encode(), ":authority": b"localhost"}
    headers |= {"te": b"trailers", "content-type": b"application/grpc", **(more or {})}
    block = b"".join(_header(name, value) for name, value in headers.items())
    return frame(1, 4, stream, block) + frame(0, 1, stream, bytes(5))


def _header(name: str, value: bytes) -> bytes:
    """A literal of HPACK that is never indexed."""
    return b"\x10" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value

"""Seals values in a shared store, so that each is taken only for what was stored under its key."""

import hashlib
import hmac
import struct
import zlib
from typing import Protocol

_CHECKSUM = struct.Struct("<I")
_CODE_BYTES = 16


class Seal(Protocol):
    """Puts something before a value by which it is recognised."""

    def close(self, key: str, payload: bytes) -> bytes:
        """The sealed value."""

    def open(self, key: str, value: bytes) -> memoryview | None:
        """What was sealed under this key, else None."""


class Checksum:
    """CRC-32: recognises damage and mistakes, and no forgery."""

    def close(self, key: str, payload: bytes) -> bytes:
        """See `Seal.close`."""
        return _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(key.encode()))) + payload

    def open(self, key: str, value: bytes) -> memoryview | None:
        """See `Seal.open`."""
        view = memoryview(value)
        if len(view) < _CHECKSUM.size:
            return None
        (checksum,) = _CHECKSUM.unpack(view[: _CHECKSUM.size])
        payload = view[_CHECKSUM.size :]
        return payload if zlib.crc32(payload, zlib.crc32(key.encode())) == checksum else None


class Authentication:
    """HMAC-SHA256, 128 bits of it: only who has the secret can store what is taken.

    Args:
        secret: the same for all processes that share the store.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def close(self, key: str, payload: bytes) -> bytes:
        """See `Seal.close`."""
        return self._code(key, payload) + payload

    def open(self, key: str, value: bytes) -> memoryview | None:
        """See `Seal.open`."""
        view = memoryview(value)
        payload = view[_CODE_BYTES:]
        return payload if hmac.compare_digest(view[:_CODE_BYTES], self._code(key, payload)) else None

    def _code(self, key: str, payload: bytes | memoryview) -> bytes:
        code = hmac.new(self._secret, key.encode() + b"\0", hashlib.sha256)  # no key contains a zero byte
        code.update(payload)
        return code.digest()[:_CODE_BYTES]


def seal_of(secret: str) -> Seal:
    """Authentication with a secret, a checksum without one."""
    return Authentication(secret.encode()) if secret else Checksum()

"""The hash of media, exactly as they were received: bytes in, SHA-256 and length out."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class MediaDigest:
    """Identifies media.

    Attributes:
        sha256: of all bytes, 64 hex digits.
        length: in bytes, 0 or more.
    """

    sha256: str
    length: int


class MediaHash:
    """Hashes media while they arrive; holds none of them."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._length = 0

    def update(self, data: bytes | bytearray) -> None:
        """Takes the bytes that follow."""
        self._hash.update(data)
        self._length += len(data)

    @property
    def length(self) -> int:
        """Bytes so far."""
        return self._length

    @property
    def digest(self) -> MediaDigest:
        """Of the bytes so far."""
        return MediaDigest(self._hash.hexdigest(), self._length)


def digest_of(data: bytes | bytearray) -> MediaDigest:
    """The digest of media that are there as a whole."""
    whole = MediaHash()
    whole.update(data)
    return whole.digest

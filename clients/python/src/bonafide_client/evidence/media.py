"""The hash of a media file, read piece by piece."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

_PIECE = 1024 * 1024


@dataclass(frozen=True)
class MediaDigest:
    """SHA-256 of all bytes, hex, and their number."""

    sha256: str
    length: int


def digest_of_file(path: Path) -> MediaDigest:
    """Hashes a file. Raises OSError when it cannot be read."""
    found, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
            length += len(piece)
    return MediaDigest(found.hexdigest(), length)

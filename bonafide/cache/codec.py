"""Encoding of cache entries: keys, and values with a checksum. A value that cannot be decoded is None.

In: recordings' metadata, int16 windows, scores. Out: text keys and bytes, and back. No pickle.
"""

import json
import math
import struct
import zlib
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from bonafide.verdict import WindowScore

# The version: to be raised when an old value would be read wrongly, or windows are cut or made in another way.
_PREFIX = "bonafide:4:"
_CHECKSUM = struct.Struct("<I")
_SCORE = struct.Struct("<dd")


@dataclass(frozen=True)
class RecordingMeta:
    """Metadata of a recording, known after decoding.

    Attributes:
        windows: Number of windows, 0 or more.
        seconds: Length, finite, 0 or more.
        warnings: Warnings for the reader of the result, such as a truncated file.
    """

    windows: int
    seconds: float
    warnings: tuple[str, ...]


def recording_key(content_id: str) -> str:
    """The key of a recording's metadata."""
    return f"{_PREFIX}{_part(content_id)}:m"


def window_key(content_id: str, index: int) -> str:
    """The key of one window."""
    return f"{_PREFIX}{_part(content_id)}:w:{index}"


def score_key(content_id: str, model: str, index: int) -> str:
    """The key of one window's score by one version of a model."""
    return f"{_PREFIX}{_part(content_id)}:s:{_part(model)}:{index}"


def encode_recording(key: str, meta: RecordingMeta) -> bytes:
    """JSON with a checksum."""
    return _seal(key, json.dumps([int(meta.windows), float(meta.seconds), meta.warnings]).encode())


def decode_recording(key: str, value: bytes) -> RecordingMeta | None:
    """What `encode_recording` wrote under this key, else None."""
    payload = _unseal(key, value)
    if payload is None:
        return None
    try:
        windows, seconds, warnings = json.loads(bytes(payload))
    except (ValueError, TypeError):
        return None
    if not (type(windows) is int and windows >= 0 and type(seconds) is float and isinstance(warnings, list)):
        return None
    if not (math.isfinite(seconds) and seconds >= 0 and all(isinstance(text, str) for text in warnings)):
        return None
    return RecordingMeta(windows, seconds, tuple(warnings))


def encode_window(key: str, window: NDArray[np.int16]) -> bytes:
    """Little-endian samples with a checksum. window: int16 array (samples,); any other dtype is a TypeError."""
    if window.dtype != np.int16:
        raise TypeError(f"a window must be int16, not {window.dtype}")
    return _seal(key, window.astype("<i2", copy=False).tobytes())


def decode_window(key: str, value: bytes) -> NDArray[np.int16] | None:
    """What `encode_window` wrote under this key, as an array of its own, else None."""
    payload = _unseal(key, value)
    if payload is None or not payload or len(payload) % 2:
        return None
    return np.frombuffer(payload, dtype="<i2").astype(np.int16)


def encode_score(key: str, score: WindowScore) -> bytes:
    """Two float64 with a checksum."""
    return _seal(key, _SCORE.pack(*score))


def decode_score(key: str, value: bytes) -> WindowScore | None:
    """What `encode_score` wrote under this key, else None; both numbers always in 0..1."""
    payload = _unseal(key, value)
    # Releases without speech ratios wrote a single number.
    if payload is None or len(payload) != _SCORE.size:
        return None
    score = WindowScore(*_SCORE.unpack(payload))
    return score if is_score(score) else None


def is_score(score: WindowScore) -> bool:
    """Whether both numbers lie in 0..1."""
    return all(0.0 <= number <= 1.0 for number in score)


def _part(text: str) -> str:
    # Colons are quoted too, so that different parts never make the same key.
    return quote(text, safe="", errors="surrogatepass")


def _seal(key: str, payload: bytes) -> bytes:
    # The checksum covers the key, so that the value of another key is never accepted.
    return _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(key.encode()))) + payload


def _unseal(key: str, value: bytes) -> memoryview | None:
    view = memoryview(value)
    if len(view) < _CHECKSUM.size:
        return None
    (checksum,) = _CHECKSUM.unpack(view[: _CHECKSUM.size])
    payload = view[_CHECKSUM.size :]
    return payload if zlib.crc32(payload, zlib.crc32(key.encode())) == checksum else None

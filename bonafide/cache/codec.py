"""Encoding of cache entries: keys, and sealed values. A value that cannot be decoded is None.

In: recordings' metadata, int16 windows, scores. Out: text keys and bytes, and back. No pickle.
"""

import json
import math
import struct
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from bonafide.cache.seal import Seal
from bonafide.verdict import WindowScore

# The version: to be raised when an old value would be read wrongly, windows are cut or made in another way, or the same
# files of a model score otherwise, as where a release computed some of them wrongly.
_PREFIX = "bonafide:7:"
_SAMPLE_BYTES = 2


class ApartChannel(NamedTuple):
    """A channel of a recording that was judged apart.

    Attributes:
        channel: its number, from 0.
        first: index of its first window.
        conditions: what weakens a verdict on it, by the names of `audio.conditions`.
    """

    channel: int
    first: int
    conditions: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether it may have been written by `Codec.encode_recording`."""
        numbers = all(type(number) is int and number >= 0 for number in (self.channel, self.first))
        return numbers and all(isinstance(name, str) for name in self.conditions)


@dataclass(frozen=True)
class RecordingMeta:
    """Metadata of a recording, known after decoding.

    Attributes:
        windows: Number of windows, 0 or more.
        seconds: Length, finite, 0 or more.
        warnings: Warnings for the reader of the result, such as a truncated file.
        conditions: What weakens a verdict on its mix, by the names of `audio.conditions`.
        apart: Channels that were judged apart; the windows before the first of them are of the mix. None of a recording
            that was judged as one.
    """

    windows: int
    seconds: float
    warnings: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    apart: tuple[ApartChannel, ...] = ()


def recording_key(content_id: str) -> str:
    """The key of a recording's metadata.

    That of releases that did not listen for music ends in `:m`: the recording is then read anew, its scores are kept.
    """
    return f"{_PREFIX}{_part(content_id)}:m2"


def window_key(content_id: str, index: int) -> str:
    """The key of one window."""
    return f"{_PREFIX}{_part(content_id)}:w:{index}"


def score_key(content_id: str, model: str, index: int) -> str:
    """The key of one window's score by one version of a model."""
    return f"{_PREFIX}{_part(content_id)}:s:{_part(model)}:{index}"


class Codec:
    """Values as bytes, and back.

    Args:
        seal: by which a value is recognised as what was stored under its key.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def encode_recording(self, key: str, meta: RecordingMeta) -> bytes:
        """JSON."""
        content = [int(meta.windows), float(meta.seconds), meta.warnings, meta.conditions]
        return self._seal.close(key, json.dumps([*content, *([meta.apart] if meta.apart else [])]).encode())

    def decode_recording(self, key: str, value: bytes) -> RecordingMeta | None:
        """What `encode_recording` wrote under this key, else None."""
        payload = self._seal.open(key, value)
        if payload is None:
            return None
        try:
            # Of releases that measured no conditions there are three: the recording is then read anew.
            windows, seconds, warnings, conditions, *rest = json.loads(bytes(payload))
            apart = tuple(
                ApartChannel(channel, first, tuple(names)) for channel, first, names in (rest[0] if rest else ())
            )
        except (ValueError, TypeError, RecursionError):
            return None
        if not all(each.is_sound for each in apart):
            return None
        if not (type(windows) is int and windows >= 0 and type(seconds) is float and isinstance(warnings, list)):
            return None
        if not (math.isfinite(seconds) and seconds >= 0 and all(isinstance(text, str) for text in warnings)):
            return None
        if not (isinstance(conditions, list) and all(isinstance(name, str) for name in conditions)):
            return None
        return RecordingMeta(windows, seconds, tuple(warnings), tuple(conditions), apart)

    def encode_window(self, key: str, window: NDArray[np.int16]) -> bytes:
        """Little-endian samples. window: int16 array (samples,); any other dtype is a TypeError."""
        if window.dtype != np.int16:
            raise TypeError(f"a window must be int16, not {window.dtype}")
        return self._seal.close(key, window.astype("<i2", copy=False).tobytes())

    def decode_window(self, key: str, value: bytes, lengths: range) -> NDArray[np.int16] | None:
        """What `encode_window` wrote under this key, as an array of its own, else None.

        Args:
            key: see above.
            value: the stored value.
            lengths: numbers of samples that the window may have; None for any other.
        """
        payload = self._seal.open(key, value)
        if payload is None or len(payload) % _SAMPLE_BYTES or len(payload) // _SAMPLE_BYTES not in lengths:
            return None
        return np.frombuffer(payload, dtype="<i2").astype(np.int16)

    def encode_score(self, key: str, score: WindowScore) -> bytes:
        """Two float64, and one for each member of an ensemble."""
        numbers = (score.score, score.speech_ratio, *score.members)
        return self._seal.close(key, _scores(len(score.members)).pack(*numbers))

    def decode_score(self, key: str, value: bytes, members: int = 0) -> WindowScore | None:
        """What `encode_score` wrote under this key, else None; all numbers always in 0..1.

        Args:
            key: see above.
            value: the stored value.
            members: of the ensemble whose score it is; None for another number of them.
        """
        payload = self._seal.open(key, value)
        form = _scores(members)
        # Releases without speech ratios wrote a single number.
        if payload is None or len(payload) != form.size:
            return None
        total, ratio, *of_members = form.unpack(payload)
        score = WindowScore(total, ratio, tuple(of_members))
        return score if is_score(score) else None


def is_score(score: WindowScore) -> bool:
    """Whether all numbers lie in 0..1."""
    return all(0.0 <= number <= 1.0 for number in (score.score, score.speech_ratio, *score.members))


def _scores(members: int) -> struct.Struct:
    """Of a score, a speech ratio, and the members' scores."""
    return struct.Struct(f"<{2 + members}d")


def _part(text: str) -> str:
    # Colons are quoted too, so that different parts never make the same key.
    return quote(text, safe="", errors="surrogatepass")

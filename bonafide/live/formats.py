"""Encodings of live audio: bytes or text in, float32 mono samples out. Independent of transports.

Raw bytes may be split anywhere, within a sample too; containers are decoded by `container`.
"""

import base64
import binascii
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from bonafide.errors import InvalidRequest

RawEncoding = Literal["float32", "pcm16", "mulaw"]

_NUMBERS: TypeAdapter[list[float]] = TypeAdapter(list[float])
_SAMPLE_BYTES: dict[RawEncoding, int] = {"float32": 4, "pcm16": 2, "mulaw": 1}


def _mulaw_table() -> NDArray[np.float32]:
    """The 256 values of ITU-T G.711 mu-law: complemented sign, three bits of exponent, four of mantissa."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4 & 7).astype(np.int32)
    magnitude = ((code & 15).astype(np.int32) * 8 + 132 << exponent) - 132
    return (np.where(code & 128, -magnitude, magnitude) / np.float32(32_768)).astype(np.float32)


_MULAW = _mulaw_table()


class RawDecoder:
    """Converts the bytes of a stream to samples; keeps the bytes of an incomplete sample."""

    def __init__(self, encoding: RawEncoding) -> None:
        """Starts a stream.

        Args:
            encoding: of the whole stream: little-endian float32 or int16, or G.711 mu-law.
        """
        self._encoding: RawEncoding = encoding
        self._partial = b""

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """The samples that are complete now: float32 array (n,), nominally -1..1. Not validated further."""
        data = self._partial + data
        whole = len(data) - len(data) % _SAMPLE_BYTES[self._encoding]
        self._partial = data[whole:]
        return _samples(data[:whole], self._encoding)


def text_samples(audio_data: str | list[float]) -> NDArray[np.float32]:
    """The samples of an `audio_chunk`: base64 of little-endian float32, numbers, or a string that holds an array.

    Raises:
        InvalidRequest: none of these, or not a whole number of samples.
    """
    if isinstance(audio_data, list):
        return _from_numbers(audio_data)
    if audio_data.lstrip()[:1] == "[":
        try:
            return _from_numbers(_NUMBERS.validate_json(audio_data))
        except ValidationError as error:
            raise InvalidRequest("audio_data begins like an array, but is not one of numbers") from error
    try:
        data = base64.b64decode(audio_data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("audio_data is neither base64 nor an array of numbers") from error
    if len(data) % 4:
        raise InvalidRequest(f"audio_data holds {len(data)} bytes, which are no whole float32 samples")
    return _samples(data, "float32")


def _samples(data: bytes, encoding: RawEncoding) -> NDArray[np.float32]:
    if encoding == "mulaw":
        return _MULAW[np.frombuffer(data, np.uint8)]
    if encoding == "pcm16":
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32_768)
    return np.frombuffer(data, "<f4").astype(np.float32)


def _from_numbers(numbers: list[float]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # values that are too large become infinite, and are refused as such
        return np.asarray(numbers, dtype=np.float64).astype(np.float32)

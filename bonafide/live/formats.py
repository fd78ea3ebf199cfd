"""Encodings of live audio: bytes or text in, float32 samples out, as they are interleaved. Independent of transports.

Raw bytes may be split anywhere, within a sample too; containers and codecs with a state are decoded by
`decoders.containers`.
"""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from bonafide.base64_text import decode_base64
from bonafide.errors import InvalidRequest

Numbers = Annotated[list[float], Field(fail_fast=True)]
"""Samples as text; of wrong ones the first is told, where a million may be sent."""
RawEncoding = Literal["float32", "pcm16", "l16", "mulaw", "alaw"]

_PCM16_SCALE = 32_768
_NUMBERS: TypeAdapter[list[float]] = TypeAdapter(Numbers)
_NAMES: dict[str, RawEncoding] = {
    **dict.fromkeys(("float32", "f32le", "pcm_f32le"), "float32"),
    **dict.fromkeys(("pcm16", "int16", "s16le", "pcm_s16le", "linear16"), "pcm16"),
    **dict.fromkeys(("l16", "s16be", "pcm_s16be"), "l16"),
    **dict.fromkeys(("mulaw", "ulaw", "pcmu"), "mulaw"),
    **dict.fromkeys(("alaw", "pcma"), "alaw"),
}
_SAMPLE_BYTES: dict[RawEncoding, int] = {"float32": 4, "pcm16": 2, "l16": 2, "mulaw": 1, "alaw": 1}


def _mulaw_table() -> NDArray[np.float32]:
    """The 256 values of ITU-T G.711 mu-law: complemented sign, three bits of exponent, four of mantissa."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4 & 7).astype(np.int32)
    magnitude = ((code & 15).astype(np.int32) * 8 + 132 << exponent) - 132
    return (np.where(code & 128, -magnitude, magnitude) / np.float32(32_768)).astype(np.float32)


def _alaw_table() -> NDArray[np.float32]:
    """The 256 values of ITU-T G.711 A-law: sign, three bits of exponent, four of mantissa, every other bit inverted."""
    code = np.arange(256, dtype=np.uint8) ^ np.uint8(0x55)
    exponent = (code >> 4 & 7).astype(np.int32)
    mantissa = (code & 15).astype(np.int32) * 16 + 8
    magnitude = np.where(exponent > 0, mantissa + 256 << np.maximum(exponent - 1, 0), mantissa)
    return (np.where(code & 128, magnitude, -magnitude) / np.float32(32_768)).astype(np.float32)


_G711: dict[RawEncoding, NDArray[np.float32]] = {"mulaw": _mulaw_table(), "alaw": _alaw_table()}
_INTEGER_TYPES: dict[RawEncoding, str] = {"pcm16": "<i2", "l16": ">i2"}


class RawDecoder:
    """Converts the bytes of a stream to samples; keeps the bytes of an incomplete frame: a sample of each channel."""

    def __init__(self, encoding: RawEncoding, channels: int = 1) -> None:
        """Starts a stream.

        Args:
            encoding: of the whole stream: little-endian float32 or int16, big-endian int16, G.711 mu-law or A-law.
            channels: that are interleaved.
        """
        self._encoding: RawEncoding = encoding
        self._frame_bytes = _SAMPLE_BYTES[encoding] * channels
        self._partial = b""

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """The frames that are complete now: float32 array (n * channels,), nominally -1..1. Not validated further."""
        data = self._partial + data
        whole = len(data) - len(data) % self._frame_bytes
        self._partial = data[whole:]
        return _samples(data[:whole], self._encoding)


def raw_encoding(name: str | None) -> RawEncoding | None:
    """The encoding of samples that a client's word for it means; None: it tells none, as "base64" does not."""
    return _NAMES.get((name or "").lower())


def text_samples(
    audio_data: str | list[float], encoding: RawEncoding = "float32", *, stated: bool = False
) -> NDArray[np.float32]:
    """The samples of an `audio_chunk`: base64 of bytes, numbers, or a string that holds an array of them.

    Args:
        audio_data: a whole number of samples.
        encoding: of the bytes; numbers may be floats from -1 to 1 or, with "pcm16" or "l16", integers.
        stated: whether it was said of this chunk, and not of the session, whose chunks may be floats all the same.

    Raises:
        InvalidRequest: none of these, or not a whole number of samples.
    """
    if isinstance(audio_data, list):
        return _from_numbers(audio_data, encoding, stated)
    if is_array(audio_data):
        try:
            return _from_numbers(_NUMBERS.validate_json(audio_data), encoding, stated)
        except ValidationError as error:
            raise InvalidRequest("audio_data begins like an array, but is not one of numbers") from error
    data = text_bytes(audio_data)
    if len(data) % _SAMPLE_BYTES[encoding]:
        raise InvalidRequest(f"audio_data holds {len(data)} bytes, which are no whole {encoding} samples")
    return _samples(data, encoding)


def is_array(audio_data: str) -> bool:
    """Whether a string is meant as an array of numbers, and not as base64."""
    return audio_data.lstrip()[:1] == "["


def text_bytes(audio_data: str) -> bytes:
    """The bytes of base64.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return decode_base64(audio_data)
    except ValueError as error:
        raise InvalidRequest("audio_data is neither base64 nor an array of numbers") from error


def _samples(data: bytes, encoding: RawEncoding) -> NDArray[np.float32]:
    if (table := _G711.get(encoding)) is not None:
        return table[np.frombuffer(data, np.uint8)]
    if (integers := _INTEGER_TYPES.get(encoding)) is not None:
        return np.frombuffer(data, integers).astype(np.float32) / np.float32(_PCM16_SCALE)
    return np.frombuffer(data, "<f4").astype(np.float32)


def _from_numbers(numbers: list[float], encoding: RawEncoding, stated: bool) -> NDArray[np.float32]:
    values = np.asarray(numbers, dtype=np.float64)
    if encoding in _INTEGER_TYPES and np.array_equal(values, np.round(values)):
        values = values / _PCM16_SCALE
    elif stated and encoding != "float32":
        raise InvalidRequest(
            f"audio_data holds numbers that are no {encoding} samples: send integers as pcm16, or floats"
        )
    with np.errstate(over="ignore"):  # values that are too large become infinite, and are refused as such
        return values.astype(np.float32)

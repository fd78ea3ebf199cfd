"""Audio as callers have it, to the samples that travel: mono float32, little-endian, -1..1."""

import sys
from array import array
from collections.abc import Iterable
from typing import Any, TypeAlias

Audio: TypeAlias = Iterable[float]
"""Mono samples: a buffer of float32, float64 (numbers from -1 to 1) or int16, such as a numpy array; any other
iterable of numbers; or bytes that hold little-endian float32."""

SAMPLE_BYTES = 4


def float32_bytes(audio: Audio, channels: int = 1) -> bytes:
    """The samples as they travel.

    Args:
        audio: of one channel; of several interleaved, or a buffer (n, channels).
        channels: how many there are.

    Raises:
        ValueError: other channels, a kind of number that is none of the above, or truncated bytes.
    """
    data = _bytes_of(audio, channels)
    if len(data) % (SAMPLE_BYTES * channels):
        raise ValueError(f"{len(data) // SAMPLE_BYTES} samples are no whole number for each of {channels} channels")
    return data


def _bytes_of(audio: Audio, channels: int) -> bytes:
    try:
        view = memoryview(audio)  # type: ignore[arg-type]
    except TypeError:
        return _little_endian(array("f", audio))
    shape = view.shape or ()
    if len(shape) != 1 and (channels == 1 or len(shape) != 2 or shape[1] != channels):
        needed = "mono samples are needed, one dimension" if channels == 1 else f"(n, {channels}) samples are needed"
        raise ValueError(f"{needed}; this has {view.ndim}")
    if view.format == "B":
        if view.nbytes % SAMPLE_BYTES:
            raise ValueError(f"{view.nbytes} bytes are no whole number of float32 samples")
        return view.tobytes()
    return _little_endian(_floats(view))


def _floats(view: "memoryview[Any]") -> "array[float]":
    if view.format == "f":
        return array("f", view.tobytes())
    if view.format == "d":
        return array("f", array("d", view.tobytes()))
    if view.format == "h":
        return array("f", [sample / 32768 for sample in array("h", view.tobytes())])
    raise ValueError(f"float32, float64 or int16 samples are needed, not {view.format!r}")


def _little_endian(values: "array[float]") -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()

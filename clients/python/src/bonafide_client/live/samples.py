"""Audio as callers have it, to the samples that travel: mono float32, little-endian, -1..1."""

import sys
from array import array
from collections.abc import Iterable
from typing import Any, TypeAlias

Audio: TypeAlias = Iterable[float]
"""Mono samples: a buffer of float32, float64 (numbers from -1 to 1) or int16, such as a numpy array; any other
iterable of numbers; or bytes that hold little-endian float32."""

SAMPLE_BYTES = 4


def float32_bytes(audio: Audio) -> bytes:
    """The samples as they travel.

    Raises:
        ValueError: more than one channel, a kind of number that is none of the above, or truncated bytes.
    """
    try:
        view = memoryview(audio)  # type: ignore[arg-type]
    except TypeError:
        return _little_endian(array("f", audio))
    if view.ndim != 1:
        raise ValueError(f"mono samples are needed, one dimension; this has {view.ndim}")
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

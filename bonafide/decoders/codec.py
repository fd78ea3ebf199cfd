"""Encoding of windows and pixels between processes."""

from collections.abc import Sequence
from dataclasses import fields
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.mono import Block
from bonafide.audio.reader import Window

_PLAIN = tuple(field.name for field in fields(Window) if field.name != "pcm")


def packed_windows(windows: Sequence[Window]) -> tuple[list[dict[str, Any]], bytes]:
    """The metadata of each window, `samples` being its length; and the int16 samples of all."""
    places = [{**{name: getattr(each, name) for name in _PLAIN}, "samples": len(each.pcm)} for each in windows]
    return places, b"".join(each.pcm.tobytes() for each in windows)


def unpacked_windows(places: Sequence[dict[str, Any]], payload: bytes | bytearray) -> list[Window]:
    """Decodes windows; their samples are views of the payload.

    Raises:
        ValueError: the samples do not match their metadata.
        KeyError: metadata are missing.
    """
    samples = np.frombuffer(payload, np.int16)
    lengths = [int(place["samples"]) for place in places]
    if min(lengths, default=0) < 0 or sum(lengths) != len(samples):
        raise ValueError("the samples do not fit their windows")
    ends = np.cumsum(lengths).tolist()
    return [
        Window(pcm=samples[end - length : end], **{name: place[name] for name in _PLAIN})
        for place, length, end in zip(places, lengths, ends, strict=True)
    ]


def packed_blocks(blocks: Sequence[Block]) -> tuple[list[tuple[int, int]], bytes]:
    """Length and rate of each block, and the float32 samples of all."""
    places = [(len(each.samples), each.rate) for each in blocks]
    return places, b"".join(np.ascontiguousarray(each.samples, np.float32).tobytes() for each in blocks)


def unpacked_blocks(places: Sequence[Sequence[int]], payload: bytes | bytearray) -> list[Block]:
    """Decodes blocks; their samples are views of the payload.

    Raises:
        ValueError: the samples do not match, or a rate is not positive.
    """
    samples = np.frombuffer(payload, np.float32)
    lengths = [int(length) for length, _ in places]
    if min(lengths, default=0) < 0 or sum(lengths) != len(samples) or any(rate < 1 for _, rate in places):
        raise ValueError("the samples do not fit their blocks")
    ends = np.cumsum(lengths).tolist()
    return [
        Block(samples[end - length : end], int(rate))
        for (_, rate), length, end in zip(places, lengths, ends, strict=True)
    ]


def unpacked_pixels(shape: Sequence[int], payload: bytes | bytearray) -> NDArray[np.uint8]:
    """Decodes a picture, uint8 `(height, width, 3)`, or the values of several, `(n,)`.

    Raises:
        ValueError: the bytes do not fit the shape.
    """
    if (len(shape), *shape[2:]) not in {(3, 3), (1,)} or min(shape) < 1 or prod(shape) != len(payload):
        raise ValueError("the pixels do not fit their shape")
    return np.frombuffer(payload, np.uint8).reshape(tuple(shape))

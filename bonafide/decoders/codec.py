"""Encoding of windows and photos between processes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.channel_mode import MIX, ChannelMode
from bonafide.audio.mono import Block
from bonafide.audio.reader import Window
from bonafide.photo.faces import Face
from bonafide.photo.preparation import Photo
from bonafide.photo.quality import Reason

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


def packed_blocks(blocks: Sequence[Block], mode: ChannelMode = MIX) -> tuple[list[tuple[int, ...]], bytes]:
    """Length, rate, channels, rows and parting (-1: none) of each block, and the float32 samples of all.

    Rows are the mix and, where `mode` may judge them, each channel.
    """
    places: list[tuple[int, ...]] = []
    rows: list[NDArray[np.float32]] = []
    for each in blocks:
        apart = each.apart if mode.needs_apart(each.channels) else None
        mix = np.ascontiguousarray(each.samples[np.newaxis], np.float32)
        rows.append(mix if apart is None else np.concatenate([mix, apart]))
        parted_at = -1 if each.parted_at is None else each.parted_at
        places.append((len(each.samples), each.rate, each.channels, len(rows[-1]), parted_at))
    return places, b"".join(each.tobytes() for each in rows)


def unpacked_blocks(places: Sequence[Sequence[int]], payload: bytes | bytearray) -> list[Block]:
    """Decodes blocks; their samples are views of the payload.

    Raises:
        ValueError: the samples do not match, or a number cannot be.
    """
    samples = np.frombuffer(payload, np.float32)
    sizes = []
    for length, rate, channels, rows, parted_at in places:
        if length < 0 or rate < 1 or channels < 1 or rows not in (1, channels + 1) or not -1 <= parted_at <= length:
            raise ValueError("a block cannot be what its numbers say")
        sizes.append(length * rows)
    if sum(sizes) != len(samples):
        raise ValueError("the samples do not fit their blocks")
    ends = np.cumsum(sizes).tolist()
    return [_block(samples[end - size : end], place) for place, size, end in zip(places, sizes, ends, strict=True)]


def _block(samples: NDArray[np.float32], place: Sequence[int]) -> Block:
    length, rate, channels, rows, parted_at = place
    of_each = samples.reshape(rows, length)
    apart = of_each[1:] if rows > 1 else None
    return Block(of_each[0], rate, channels, apart, None if parted_at < 0 else parted_at)


def packed_photo(photo: Photo) -> tuple[dict[str, Any], bytes]:
    """The shape of the pixels, the reason and the faces; and the pixels."""
    faces = [asdict(face) for face in photo.faces]
    return {"shape": photo.pixels.shape, "reason": photo.reason, "faces": faces}, photo.pixels.tobytes()


def unpacked_photo(header: Mapping[str, Any], payload: bytes | bytearray) -> Photo:
    """Decodes a photo; its pixels, uint8 `(height, width, 3)`, or `(n,)` of several pictures, are those of the payload.

    Raises:
        ValueError: the bytes do not fit the shape, a face is outside the picture, or there is no such reason.
        KeyError: metadata are missing.
        TypeError: a face has other fields, or what is no number.
    """
    shape, reason = header["shape"], header["reason"]
    if (len(shape), *shape[2:]) not in {(3, 3), (1,)} or min(shape) < 1 or prod(shape) != len(payload):
        raise ValueError("the pixels do not fit their shape")
    pixels = np.frombuffer(payload, np.uint8).reshape(tuple(shape))
    faces = tuple(Face(**face) for face in header["faces"])
    if not all(0 <= number < 1.001 for face in faces for number in astuple(face)):  # a mean may be rounded up
        raise ValueError("a face cannot be where its numbers say")
    return Photo(pixels, None if reason is None else Reason(reason), faces)

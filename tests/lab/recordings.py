"""Recordings to evaluate a model on."""

import functools
from pathlib import Path

from tests.media import encode, speech_like


def labelled_recordings(folder: Path) -> Path:
    """Two recordings of 5 s in each of the folders `bonafide` and `spoof`."""
    for index in range(4):
        path = folder / ("bonafide" if index % 2 else "spoof") / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_recording(index))
    return folder


@functools.cache
def _recording(seed: int) -> bytes:
    return encode(speech_like(5.0, 16_000, seed=seed), 16_000)

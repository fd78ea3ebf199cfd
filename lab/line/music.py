"""Pieces of music from files: a stretch at a random place of each, the same for the same seed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bonafide.audio.reader import AudioLimits
from bonafide.errors import BonafideError
from lab.evaluation.trials import AUDIO_SUFFIXES, DataError
from lab.line.recording import decoded
from lab.line.samples import RATE, Samples

_LEAST_S = 20.0
"""Shorter files of a game are noises or jingles."""
_LEAST_RMS = 0.001
"""-60 dB of full scale; what is quieter is a pause."""


class Piece(NamedTuple):
    """Of a file.

    Attributes:
        source: name of the folder that was given.
        samples: float32 (n,), 16 kHz mono.
    """

    source: str
    samples: Samples


def pieces(folders: Sequence[Path], limits: AudioLimits, *, seconds: float, each: int, seed: int) -> Iterator[Piece]:
    """Stretches of all audio files of 20 s or more below some folders; what cannot be read is left out.

    Args:
        folders: searched with all that lie in them.
        limits: on channels and sample rate.
        seconds: of a stretch, at most 20.
        each: stretches of a file.
        seed: of their places.

    Raises:
        DataError: a folder does not exist.
    """
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"there is no folder {str(folder)!r}")
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        for number, path in enumerate(files):
            try:
                samples = decoded(path.read_bytes(), limits)
            except BonafideError:
                continue
            if len(samples) < _LEAST_S * RATE:
                continue
            rng = np.random.default_rng([seed, number])
            for start in rng.integers(0, len(samples) - round(seconds * RATE) + 1, size=each):
                piece = samples[start : start + round(seconds * RATE)]
                if np.sqrt(np.mean(np.square(piece))) >= _LEAST_RMS:
                    yield Piece(folder.name, piece)

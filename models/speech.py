"""Share of speech in a window: int16 windows of 16 kHz in, shares in 0..1 out.

The weights are silero-vad's, in `bundled/speech`; run by the same engine as the voice model. Where that is converted,
so is this.
"""

import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.catalog import BUNDLED
from models.converted import SPEECH, is_converted, open_converted
from models.engine import Engine, EngineModel
from models.engines import open_engine
from models.options import LoadOptions
from models.preprocessing import SAMPLE_RATE

if TYPE_CHECKING:
    from models.graph import Graph

FOLDER = BUNDLED / "speech"
WEIGHTS = FOLDER / "model.safetensors"
FRAME_SAMPLES = 512
SPEECH_PROBABILITY = 0.5
"""A frame at or above it is speech, as silero-vad's authors recommend."""
_MAX_SAMPLES = 60 * SAMPLE_RATE


class VoiceActivityDetector:
    """Silero's voice activity detector on an engine. Make one with `load`.

    Attributes:
        version: changes with everything that changes a share.
    """

    def __init__(self, engine: Engine, version: str) -> None:
        self.version = version
        self._engine = engine

    @classmethod
    def load(cls, options: LoadOptions, voice: Path | None = None) -> "VoiceActivityDetector":
        """Opens it on the engine in the options, always in fp32, and warms it up.

        Args:
            options: engine, folders.
            voice: the voice model beside it; if it is a converted one, the detector in its folder is used.

        Raises:
            ModelError: the engine is not available, or cannot run it.
        """
        model = speech_engine_model(voice)
        return cls(open_engine(model, replace(options, precision="fp32")), model.version)

    def speech_ratios(self, windows: list[NDArray[np.int16]]) -> NDArray[np.float32]:
        """Share of each window's frames that are speech, float32 `(n,)` in 0..1.

        An invalid window (not int16, not one-dimensional, empty, longer than a minute) gives NaN.

        Args:
            windows: int16 arrays `(samples,)`, 16 kHz mono; lengths may differ.
        """
        shares = np.full(len(windows), np.nan, dtype=np.float32)
        fitting = [index for index, window in enumerate(windows) if isinstance(window, np.ndarray) and _fits(window)]
        starts = [*range(0, len(fitting), self._engine.max_batch_size), len(fitting)]
        for start, end in pairwise(starts):
            batch = fitting[start:end]
            shares[batch] = self._batch([windows[index] for index in batch])
        return shares

    def _batch(self, windows: list[NDArray[np.int16]]) -> list[float]:
        frames = [-(-len(window) // FRAME_SAMPLES) for window in windows]
        # Later samples do not affect earlier frames, so shorter windows may be zero-padded.
        padded = np.zeros((len(windows), max(frames) * FRAME_SAMPLES), np.int16)
        for row, window in zip(padded, windows, strict=True):
            row[: len(window)] = window
        speech = self._engine.run(padded) >= SPEECH_PROBABILITY
        return [float(row[:count].mean()) for row, count in zip(speech, frames, strict=True)]


def speech_engine_model(voice: Path | None = None) -> EngineModel:
    """What an engine needs of it; see `VoiceActivityDetector.load`.

    Raises:
        ModelError: a converted one is broken.
    """
    beside = [] if voice is None else [voice / SPEECH]
    converted = next((folder for folder in (*beside, FOLDER) if is_converted(folder)), None)
    if converted is not None:
        version = open_converted(converted, "speech").version
    else:
        version = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]
    return EngineModel(
        name="silero-vad",
        version=version,
        build=_build,
        probe=_probe,
        sizes=(125 * FRAME_SAMPLES, 32 * FRAME_SAMPLES),
        input_shape=(-1, -1),
        task="voice",
        converted=converted,
    )


def _fits(window: NDArray[Any]) -> bool:
    return window.dtype == np.int16 and window.ndim == 1 and 0 < window.shape[0] <= _MAX_SAMPLES


def _build() -> "Graph":
    from models.silero import SileroGraph

    return SileroGraph.load(WEIGHTS)


def _probe(count: int, samples: int) -> NDArray[np.int16]:
    """Synthetic voiced syllables, since a comparison of engines on silence would not cover speech."""
    # Half a second, which is as long as both periods last: sines are what takes time.
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    buzz = sum(np.sin(2 * np.pi * harmonic * 110.0 * time) / harmonic for harmonic in range(1, 16))
    syllables = np.resize(4000.0 * buzz * np.sin(2 * np.pi * 2 * time).clip(0, 1), samples)
    # One voice, in which each item begins an eighth of a second later.
    moved = np.stack([np.roll(syllables, -2_000 * index) for index in range(count)])
    noise = np.random.default_rng(0).normal(0.0, 100.0, moved.shape)
    return (moved + noise).astype(np.int16)

"""An engine whose graph takes features, behind what gives them of windows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.engine import Engine
from models.features.reading import Features

_FULL_SCALE = 32768.0


class FeatureEngine:
    """See `models.engine.Engine`. Features are computed where it is called, on the CPU.

    Args:
        engine: runs the graph.
        features: what the graph takes.
    """

    def __init__(self, engine: Engine, features: Features) -> None:
        self.name = engine.name
        self.device = engine.device
        self.precision = engine.precision
        self.max_batch_size = engine.max_batch_size
        self._engine = engine
        self._features = features

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """int16 windows `(n, samples)` -> P(spoof), float32 `(n,)`."""
        return self._engine.run(features_of(batch, self._features))


def features_of(windows: NDArray[np.int16], features: Features) -> NDArray[np.float32]:
    """int16 `(n, samples)` -> float32 `(n, *features.shape)`."""
    return np.stack([features.extract(window / _FULL_SCALE) for window in windows])

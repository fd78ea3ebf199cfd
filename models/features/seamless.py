"""Input of wav2vec2-BERT: log filter banks, each bin normalised over the window, two frames side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointMismatch, UnsupportedModel
from models.features.settings import whole
from models.features.spectra import FRAME, HOP, kaldi_filters, kaldi_frames, power

_POINTS = 512
_STRIDE = 2
"""Frames side by side, as all published models have them."""
_FULL_SCALE = 32768.0
_LEAST_POWER = 1.192092955078125e-07
_LEAST_VARIANCE = 1e-7
_POVEY = np.hanning(FRAME) ** 0.85


@dataclass(frozen=True)
class SeamlessFeatures:
    """The settings of transformers' `SeamlessM4TFeatureExtractor`.

    A frame that is left over when they are put together is left out: the original marks it as padding.

    Attributes:
        bins: filters.
    """

    bins: int
    kind: Literal["seamless"] = "seamless"

    @classmethod
    def read(cls, processor: Mapping[str, Any], config: Mapping[str, Any]) -> "SeamlessFeatures":
        """From the extractor's file and `config.json`.

        Raises:
            UnsupportedModel: a number in them is none that can be.
            CheckpointMismatch: they contradict each other.
        """
        found, stride = cls(bins=whole(processor, "num_mel_bins", 80)), whole(processor, "stride", 2)
        if stride != _STRIDE:
            raise UnsupportedModel(
                f"stride is {stride} in preprocessor_config.json, and {_STRIDE} is supported: export the model to ONNX"
            )
        takes = whole(config, "feature_projection_input_dim", 160)
        if found.shape[1] != takes:
            raise CheckpointMismatch(
                f"preprocessor_config.json makes {found.shape[1]} values of each step, and config.json is of a model "
                f"that takes {takes}: copy the file of the checkpoint that it was fine-tuned from"
            )
        return found

    @property
    def shape(self) -> tuple[int, int]:
        """Of one item; -1: as long as the window."""
        return -1, self.bins * _STRIDE

    @property
    def min_samples(self) -> int:
        """Fewest that give a step, and a variance."""
        return FRAME + HOP * (_STRIDE - 1)

    @property
    def most_samples(self) -> int | None:
        """None are left out."""
        return None

    def extract(self, samples: NDArray[np.float64]) -> NDArray[np.float32]:
        """Samples (n,) in -1..1 -> (steps, 2 * bins)."""
        spectra = power(kaldi_frames(samples * _FULL_SCALE), _POVEY, _POINTS)
        energies = np.maximum(kaldi_filters(self.bins, _POINTS).T @ spectra.T, _LEAST_POWER)
        # In fp32 and in this order, as transformers computes them: see `power`.
        logarithms = np.log(energies).astype(np.float32).T
        centred = logarithms - logarithms.mean(axis=0)
        normal: NDArray[np.float32] = centred / np.sqrt(logarithms.var(axis=0, ddof=1) + np.float32(_LEAST_VARIANCE))
        steps = len(normal) // _STRIDE
        return normal[: steps * _STRIDE].reshape(steps, -1)

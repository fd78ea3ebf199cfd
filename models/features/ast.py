"""Input of the Audio Spectrogram Transformer (AST): log filter banks, as many frames as the model takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointMismatch, UnsupportedModel
from models.features.settings import real, whole
from models.features.spectra import FRAME, HOP, kaldi_filters, kaldi_frames, power

_POINTS = 512
_LEAST_POWER = 2.0**-23
"""As in torchaudio: the spacing of float32 at 1."""


@dataclass(frozen=True)
class AstFeatures:
    """The settings of transformers' `ASTFeatureExtractor`.

    Attributes:
        bins: filters.
        frames: that the model takes; more are left out, fewer are followed by zeros.
        mean: subtracted from everything, these zeros too.
        spread: everything is divided by it then.
    """

    bins: int
    frames: int
    mean: float
    spread: float
    kind: Literal["ast"] = "ast"

    @classmethod
    def read(cls, processor: Mapping[str, Any], config: Mapping[str, Any]) -> "AstFeatures":
        """From the extractor's file and `config.json`.

        Raises:
            UnsupportedModel: a number in them is none that can be.
            CheckpointMismatch: they contradict each other.
        """
        bins, frames = whole(processor, "num_mel_bins", 128), whole(processor, "max_length", 1024)
        takes = whole(config, "num_mel_bins", 128), whole(config, "max_length", 1024)
        if (bins, frames) != takes:
            raise CheckpointMismatch(
                f"preprocessor_config.json makes {frames} frames of {bins} filters, and config.json is of a model that "
                f"takes {takes[1]} of {takes[0]}: copy the file of the checkpoint that it was fine-tuned from"
            )
        if not processor.get("do_normalize", True):
            return cls(bins, frames, 0.0, 1.0)
        spread = 2.0 * real(processor, "std", 4.5689974)
        if not spread:
            raise UnsupportedModel("std is 0 in preprocessor_config.json: copy it from the original checkpoint")
        return cls(bins, frames, real(processor, "mean", -4.2677393), spread)

    @property
    def shape(self) -> tuple[int, int]:
        """Of one item."""
        return self.frames, self.bins

    @property
    def min_samples(self) -> int:
        """Fewest that give a frame."""
        return FRAME

    @property
    def most_samples(self) -> int | None:
        """More would be left out."""
        return FRAME + HOP * (self.frames - 1)

    def extract(self, samples: NDArray[np.float64]) -> NDArray[np.float32]:
        """Samples (n,) in -1..1 -> (frames, bins)."""
        frames = kaldi_frames(samples[: self.most_samples])
        spectra = power(frames, np.hanning(FRAME), _POINTS)
        energies = np.log(np.maximum(spectra @ kaldi_filters(self.bins, _POINTS), _LEAST_POWER))
        features = np.zeros(self.shape)
        features[: len(energies)] = energies
        return ((features - self.mean) / self.spread).astype(np.float32)

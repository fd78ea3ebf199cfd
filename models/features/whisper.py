"""Input of Whisper's encoder: a log mel spectrogram of 30 s, silence after what there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointMismatch, UnsupportedModel
from models.features.settings import whole
from models.features.spectra import RATE, framed, power, slaney_filters

_LEAST_POWER = 1e-10
_RANGE = 8.0
"""Powers of ten below the loudest, which are kept."""


@dataclass(frozen=True)
class WhisperFeatures:
    """The settings of transformers' `WhisperFeatureExtractor`.

    Attributes:
        bins: filters.
        samples: that the model takes; more are left out, fewer are followed by silence.
        frame: samples in a frame.
        hop: samples between the starts of two frames.
    """

    bins: int
    samples: int
    frame: int
    hop: int
    kind: Literal["whisper"] = "whisper"

    @classmethod
    def read(cls, processor: Mapping[str, Any], config: Mapping[str, Any]) -> "WhisperFeatures":
        """From the extractor's file and `config.json`.

        Raises:
            UnsupportedModel: noise is to be added, or a number in them is none that can be.
            CheckpointMismatch: they contradict each other.
        """
        if processor.get("dither"):
            raise UnsupportedModel(
                "preprocessor_config.json asks for dither, which scores the same recording otherwise each time: set it "
                "to 0.0"
            )
        found = cls(
            bins=whole(processor, "feature_size", 80),
            samples=whole(processor, "chunk_length", 30) * RATE,
            frame=whole(processor, "n_fft", 400),
            hop=whole(processor, "hop_length", 160),
        )
        takes = whole(config, "num_mel_bins", 80), 2 * whole(config, "max_source_positions", 1500)
        if found.shape != takes:
            raise CheckpointMismatch(
                f"preprocessor_config.json makes {found.shape[1]} frames of {found.bins} filters, and config.json is "
                f"of a model that takes {takes[1]} of {takes[0]}: copy the file of the checkpoint that it was "
                "fine-tuned from"
            )
        return found

    @property
    def shape(self) -> tuple[int, int]:
        """Of one item."""
        return self.bins, self.samples // self.hop

    @property
    def min_samples(self) -> int:
        """Fewest that fill a frame."""
        return self.frame

    @property
    def most_samples(self) -> int | None:
        """More would be left out."""
        return self.samples

    def extract(self, samples: NDArray[np.float64]) -> NDArray[np.float32]:
        """Samples (n,) in -1..1 -> (bins, frames)."""
        heard = samples[: self.samples]
        half = self.frame // 2
        padded = np.pad(np.pad(heard, (0, self.samples - len(heard))), half, mode="reflect")
        # The frames after these are silent, and there are many.
        sounding = -(-(len(heard) + half) // self.hop)
        frames = framed(padded, self.frame, self.hop)[: self.shape[1]]
        hann = np.hanning(self.frame + 1)[:-1]
        spectra = power(frames[:sounding], hann, self.frame)
        energies = np.log10(np.maximum(spectra @ slaney_filters(self.bins, self.frame), _LEAST_POWER))
        features = np.full(self.shape, np.log10(_LEAST_POWER))
        features[:, : len(energies)] = energies.T
        scaled: NDArray[np.float32] = ((np.maximum(features, features.max() - _RANGE) + 4.0) / 4.0).astype(np.float32)
        return scaled

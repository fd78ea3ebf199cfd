"""AASIST and AASIST-L: raw samples, fixed filters, residual blocks, then a graph of frequencies and times.

Jung et al., "AASIST: Audio anti-spoofing using integrated spectro-temporal graph attention networks", ICASSP 2022.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.heads.graph_attention import SpectroTemporalGraph
from models.heads.residual import residual_encoder
from models.heads.sinc import SincFilters

_BANDS = 70
_TAPS = 129
_NARROW = 32
_MIXED = 32


@dataclass(frozen=True)
class AasistSize:
    """What differs between AASIST and AASIST-L.

    Attributes:
        features: planes of the wide blocks, and features of a node.
        ratios: share of nodes that stay: spectral, temporal, of both kinds. No tensor tells it.
    """

    features: int
    ratios: tuple[float, float, float]


AASIST = AasistSize(64, (0.5, 0.7, 0.5))
AASIST_L = AasistSize(24, (0.4, 0.5, 0.7))


class Aasist(SpectroTemporalGraph):
    """Windows of 16 kHz samples, 64,600 as it was trained, to two logits: spoof, bona fide."""

    def __init__(self, size: AasistSize) -> None:
        super().__init__(size.features, (size.features, _MIXED), size.ratios)
        self.filters = SincFilters(_BANDS, _TAPS)
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_encoder(_NARROW, size.features, pooled=True)
        self.pos_S = nn.Parameter(torch.empty(1, _BANDS // 3, size.features))

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 in -1..1 -> logits (n, 2)."""
        spectrum = self.filters(samples).abs().unsqueeze(1)
        spectrum = nn.functional.selu(self.first_bn(nn.functional.max_pool2d(spectrum, 3)))
        strength = self.encoder(spectrum).abs()
        spectral = strength.amax(dim=3).transpose(1, 2) + self.pos_S
        temporal = strength.amax(dim=2).transpose(1, 2)
        return self.judge(spectral, temporal)

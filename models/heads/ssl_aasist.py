"""XLS-R and AASIST's graph: "SSL_Anti-spoofing".

Tak et al., "Automatic speaker verification spoofing and deepfake detection using wav2vec 2.0 and data augmentation",
Odyssey 2022.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.heads.body import Body
from models.heads.graph_attention import SpectroTemporalGraph
from models.heads.residual import residual_encoder

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_WIDTH = 128
_NARROW, _WIDE, _MIXED = 32, 64, 32
_RATIO = 0.5
"""Share of nodes that stay in each pool; no tensor tells it."""


class SslAasist(SpectroTemporalGraph):
    """Windows of 16 kHz samples, 64,600 as it was trained, to two logits: spoof, bona fide."""

    def __init__(self, config: "PretrainedConfig") -> None:
        super().__init__(_WIDE, (_WIDE, _MIXED), (_RATIO, _RATIO, _RATIO))
        self.body = Body(config)
        self.LL = nn.Linear(self.body.width, _WIDTH)
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_encoder(_NARROW, _WIDE, pooled=False)
        self.first_bn1 = nn.BatchNorm2d(_WIDE)
        self.attention = nn.Sequential(
            nn.Conv2d(_WIDE, 2 * _WIDE, 1), nn.SELU(), nn.BatchNorm2d(2 * _WIDE), nn.Conv2d(2 * _WIDE, _WIDE, 1)
        )
        self.pos_S = nn.Parameter(torch.empty(1, _WIDTH // 3, _WIDE))

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 in -1..1 -> logits (n, 2)."""
        plane = self.LL(self.body(samples)).transpose(1, 2).unsqueeze(1)
        plane = nn.functional.selu(self.first_bn(nn.functional.max_pool2d(plane, 3)))
        plane = nn.functional.selu(self.first_bn1(self.encoder(plane)))
        weight = self.attention(plane)
        spectral = (plane * torch.softmax(weight, dim=3)).sum(dim=3).transpose(1, 2) + self.pos_S
        temporal = (plane * torch.softmax(weight, dim=2)).sum(dim=2).transpose(1, 2)
        return self.judge(spectral, temporal)

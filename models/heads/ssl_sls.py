"""XLS-R with its layers weighed by what they hold ("sensitive layer selection"), and two linear layers.

Zhang et al., "Audio deepfake detection with self-supervised XLS-R and SLS classifier", ACM Multimedia 2024.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.heads.body import Body

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_POOL = 3
_FRAMES = 201
"""Of a window of 64,600 samples."""
_HIDDEN = 1024


class SslSls(nn.Module):
    """Windows of 16 kHz samples to two logits: spoof, bona fide. The linear layer fixes the window's length: 64,600."""

    def __init__(self, config: "PretrainedConfig") -> None:
        super().__init__()
        self.body = Body(config)
        self.fc0 = nn.Linear(self.body.width, 1)
        self.first_bn = nn.BatchNorm2d(1)
        self.fc1 = nn.Linear((_FRAMES // _POOL) * (self.body.width // _POOL), _HIDDEN)
        self.fc3 = nn.Linear(_HIDDEN, 2)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 in -1..1 -> logits (n, 2)."""
        layers = torch.stack(self.body.layers(samples), dim=1)
        weights = torch.sigmoid(self.fc0(layers.mean(dim=2))).unsqueeze(2)
        plane = nn.functional.selu(self.first_bn((layers * weights).sum(dim=1, keepdim=True)))
        features = nn.functional.max_pool2d(plane, _POOL).flatten(1)
        return nn.functional.selu(self.fc3(nn.functional.selu(self.fc1(features))))

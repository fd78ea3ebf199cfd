"""A self-supervised body, its frames averaged, and one linear layer: AntiDeepfake.

Ge et al., "Post-training for deepfake speech detection", 2025 (bodies: wav2vec 2.0, XLS-R, MMS, HuBERT).
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.heads.body import Body

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_EPSILON = 1e-5


class AntiDeepfake(nn.Module):
    """Windows of 16 kHz samples to two logits: spoof, bona fide.

    Each window is normalised to zero mean and unit variance first, as recordings were in its training.
    """

    def __init__(self, config: "PretrainedConfig") -> None:
        super().__init__()
        self.body = Body(config)
        self.proj_fc = nn.Linear(self.body.width, 2)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 in -1..1 -> logits (n, 2)."""
        centred = samples - samples.mean(dim=1, keepdim=True)
        normal = centred / torch.sqrt((centred * centred).mean(dim=1, keepdim=True) + _EPSILON)
        logits: Tensor = self.proj_fc(self.body(normal).mean(dim=1))
        return logits

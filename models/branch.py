"""What stands beside a voice model's layers: convolutions on a spectrum, averaged over time, and one logit of spoof."""

import torch
from torch import Tensor, nn


class Branch(nn.Module):
    """Samples -> averages over time -> standardised -> one logit of spoof.

    Args:
        channels: of its convolutions.
        width: how many averages there are.
    """

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.judge = nn.Linear(width, 1)

    def averages(self, samples: Tensor) -> Tensor:
        """(n, samples), of any level -> what is judged, float32 (n, width)."""
        raise NotImplementedError

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples), of any level -> logits of spoof, float32 (n,)."""
        return self.judged(self.averages(samples))

    def judged(self, averages: Tensor) -> Tensor:
        """The output of `averages` -> logits of spoof, float32 (n,)."""
        # Standardised by the weights: OpenVINO 2026.4 fuses what follows an average into it, and takes other constants.
        weight = self.judge.weight.float() / self.get_buffer("spread").float()
        bias = self.judge.bias.float() - weight @ self.get_buffer("centre").float()
        return nn.functional.linear(averages, weight, bias).squeeze(1)


def even_peak(samples: Tensor) -> Tensor:
    """(n, samples) -> float32, the loudest of each window 1 or -1."""
    loudest = samples.float().abs().amax(1, keepdim=True)
    return samples.float() / (loudest + 1e-8)


def fourier(window: Tensor) -> Tensor:
    """Windowed cosines and negated sines as filters: no weights, and a constant once converted.

    Args:
        window: float32 (length,).

    Returns:
        float32 (length + 2, 1, length), the cosines first.
    """
    length = len(window)
    each = torch.arange(length, device=window.device)
    turns = each[: length // 2 + 1, None] * each % length  # whole numbers, so that angles are small and exact
    angle = 2 * torch.pi * turns / length
    return torch.cat([angle.cos() * window, -angle.sin() * window])[:, None]

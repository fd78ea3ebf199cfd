"""XLS-R and Nes2Net-X: Res2Net blocks of channel groups, nested in a Res2Net of the body's channels.

Liu et al., "Nes2Net: A lightweight nested architecture for foundation model driven speech anti-spoofing", 2025.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.heads.body import Body

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_TAPS = 3
_DILATION = 2
"""Of the published models; no tensor tells it."""


@dataclass(frozen=True)
class Nes2NetSize:
    """What tensors tell of a head.

    Attributes:
        outer: groups that the body's channels are split into; the last one is passed on.
        inner: groups within each of them.
        squeezed: channels between the two layers that weigh channels.
    """

    outer: int = 8
    inner: int = 8
    squeezed: int = 128


class SslNes2Net(nn.Module):
    """Windows of 16 kHz samples to two logits: spoof, bona fide."""

    def __init__(self, config: "PretrainedConfig", size: Nes2NetSize) -> None:
        super().__init__()
        self.body = Body(config)
        self.Nested_Res2Net_TDNN = _Nested(self.body.width, size)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 in -1..1 -> logits (n, 2)."""
        logits: Tensor = self.Nested_Res2Net_TDNN(self.body(samples).transpose(1, 2))
        return logits


class _Nested(nn.Module):
    """Groups of channels, each block adding what the one before it made; then the mean over time."""

    def __init__(self, channels: int, size: Nes2NetSize) -> None:
        super().__init__()
        if channels % size.outer:
            raise ValueError(f"its {channels} channels are no {size.outer} groups of one size")
        self._group = channels // size.outer
        self.Build_in_Res2Nets = nn.ModuleList(_Inner(self._group, size) for _ in range(size.outer - 1))
        self.bns = nn.ModuleList(nn.BatchNorm1d(self._group) for _ in range(size.outer - 1))
        self.bn = nn.BatchNorm1d(channels)
        self.fc = nn.Linear(channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, frames) -> logits (n, 2)."""
        *groups, last = torch.split(x, self._group, dim=1)
        made: list[Tensor] = []
        for group, block, norm in zip(groups, self.Build_in_Res2Nets, self.bns, strict=True):
            made.append(norm(torch.relu(block(made[-1] + group if made else group))))
        x = torch.relu(self.bn(torch.cat([*made, last], dim=1)))
        logits: Tensor = self.fc(x.mean(dim=2))
        return logits


class _Inner(nn.Module):
    """Its groups are stacked beside each other, one more at each step, and each step ends in their weighted sum."""

    def __init__(self, channels: int, size: Nes2NetSize) -> None:
        super().__init__()
        self._group = channels // size.inner
        steps = range(size.inner - 1)
        kept = self._group * size.inner
        self.conv1 = nn.Conv1d(channels, kept, 1)
        self.bn1 = nn.BatchNorm1d(kept)
        padding = _TAPS // 2 * _DILATION
        self.convs = nn.ModuleList(
            nn.Conv2d(self._group, self._group, (_TAPS, 1), dilation=(_DILATION, 1), padding=(padding, 0))
            for _ in steps
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(self._group) for _ in steps)
        self.weighted_sum = nn.ParameterList(nn.Parameter(torch.empty(1, 1, 1, step + 2)) for step in steps)
        self.conv3 = nn.Conv1d(kept, channels, 1)
        self.bn3 = nn.BatchNorm1d(channels)
        self.se = _ChannelWeights(channels, size.squeezed)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, frames) -> the same shape."""
        inside = self.bn1(torch.relu(self.conv1(x))).unsqueeze(3)
        *groups, last = torch.split(inside, self._group, dim=1)
        stack, made = last, []
        for group, conv, norm, weights in zip(groups, self.convs, self.bns, self.weighted_sum, strict=True):
            stack = norm(torch.relu(conv(torch.cat([stack, group], dim=3))))
            made.append((stack * weights).sum(dim=3))
        joined = torch.cat([*made, last.squeeze(3)], dim=1)
        out: Tensor = self.se(self.bn3(torch.relu(self.conv3(joined)))) + x
        return out


class _ChannelWeights(nn.Module):
    """Each channel times a weight in 0..1, which comes from all channels' means ("squeeze and excitation")."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool1d(1),
            nn.Conv1d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv1d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, frames) -> the same shape."""
        weighed: Tensor = x * self.se(x)
        return weighed

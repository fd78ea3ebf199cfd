"""RawNet2 as an anti-spoofing system: raw samples, fixed filters, scaled residual blocks, a recurrent summary.

Tak et al., "End-to-end anti-spoofing with RawNet2", ICASSP 2021; the baseline of ASVspoof 2021.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from models.heads.sinc import SincFilters

_TAPS = 1025
_SLOPE = 0.3
_POOL = 3
_NARROW, _WIDE = 20, 128
"""Channels of the first two blocks, which are the bands' too, and of the other four."""
_HIDDEN, _LAYERS = 1024, 3
"""Of the recurrent part."""


class RawNet2(nn.Module):
    """Windows of 16 kHz samples, 64,600 as it was trained, to two logits: spoof, bona fide."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = SincFilters(_NARROW, _TAPS)
        self.first_bn = nn.BatchNorm1d(_NARROW)
        channels = [_NARROW, _NARROW, _NARROW, *[_WIDE] * 4]
        self._depth = len(channels) - 1
        for index, (before, after) in enumerate(pairwise(channels)):
            # Each is alone in a sequence, for the keys' sake.
            self.add_module(f"block{index}", nn.Sequential(_Block(before, after)))
            self.add_module(f"fc_attention{index}", nn.Sequential(nn.Linear(after, after)))
        self.bn_before_gru = nn.BatchNorm1d(_WIDE)
        self.gru = nn.GRU(_WIDE, _HIDDEN, _LAYERS, batch_first=True)
        self.fc1_gru = nn.Linear(_HIDDEN, _HIDDEN)
        self.fc2_gru = nn.Linear(_HIDDEN, 2)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 in -1..1 -> logits (n, 2)."""
        x = nn.functional.max_pool1d(self.filters(samples).abs(), _POOL)
        x = nn.functional.selu(self.first_bn(x))
        for index in range(self._depth):
            x = self.get_submodule(f"block{index}")(x)
            # Scale and offset of each channel, from its mean over time ("filter-wise feature map scaling").
            scale = torch.sigmoid(self.get_submodule(f"fc_attention{index}")(x.mean(dim=2))).unsqueeze(2)
            x = x * scale + scale
        x = nn.functional.selu(self.bn_before_gru(x))
        frames, _ = self.gru(x.transpose(1, 2))
        logits: Tensor = self.fc2_gru(self.fc1_gru(frames[:, -1]))
        return logits


class _Block(nn.Module):
    """Two convolutions beside a shortcut, then time pooled by three.

    Published files hold a `bn1` for all blocks but the first, which the program that trained them computes and does
    not use; it is left out here.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, out, 3, padding=1)
        self.bn2 = nn.BatchNorm1d(out)
        self.conv2 = nn.Conv1d(out, out, 3, padding=1)
        if channels != out:
            self.conv_downsample = nn.Conv1d(channels, out, 1)
        self._widens = channels != out

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, time) -> (n, out, time // 3)."""
        shortcut = self.conv_downsample(x) if self._widens else x
        x = self.conv2(nn.functional.leaky_relu(self.bn2(self.conv1(x)), _SLOPE))
        return nn.functional.max_pool1d(x + shortcut, _POOL)

"""A small convolutional network on the complex spectrum, whose average over time tells what synthesis leaves behind.

It is a narrower copy of the convolutions of Distill-MOS (Stahl and Gamper, "Distillation and pruning for scalable
self-supervised representation-based speech quality assessment", arXiv:2502.05356), which judge the quality of speech;
`lab.training.voice_branch` makes it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_WINDOW = 320
HOP = 160
"""Samples from one frame to the next."""
_BINS = _WINDOW // 2 + 1
_KERNEL = 3
_SLOPE = 0.1
_EXPONENT = 0.3
"""Magnitudes are raised to this power, phases stay."""
_QUIET = 1e-12
_MAX_CONVOLUTIONS = 6
"""More would leave no frequency."""
_MAX_CHANNELS = 1024


class SpectralBranch(nn.Module):
    """Samples -> complex spectrum, compressed -> convolutions -> average over time -> one logit of spoof.

    Args:
        channels: of the convolutions. Each but the first halves the frequencies; the first halves the frames.

    Raises:
        ValueError: they are no such numbers; a configuration may say anything.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        listed = isinstance(channels, (list, tuple)) and 1 <= len(channels) <= _MAX_CONVOLUTIONS
        if not listed or not all(type(each) is int and 1 <= each <= _MAX_CHANNELS for each in channels):
            allowed = f"1 to {_MAX_CONVOLUTIONS} numbers from 1 to {_MAX_CHANNELS}"
            raise ValueError(f"branch_channels must be {allowed}, not {channels!r:.100}")
        self.channels = list(channels)
        self.convolutions = convolutions(channels, steps=[2] + [1] * (len(channels) - 1))
        width = branch_width(channels)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.judge = nn.Linear(width, 1)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples), of any level -> logits of spoof, float32 (n,)."""
        return self.judged(self.averages(samples))

    def judged(self, averages: Tensor) -> Tensor:
        """The output of `averages` -> logits of spoof, float32 (n,)."""
        # Standardised by the weights: OpenVINO 2026.4 fuses what follows an average into it, and takes other constants.
        weight = self.judge.weight.float() / self.get_buffer("spread").float()
        bias = self.judge.bias.float() - weight @ self.get_buffer("centre").float()
        return nn.functional.linear(averages, weight, bias).squeeze(1)

    def averages(self, samples: Tensor) -> Tensor:
        """(n, samples), of any level -> what is judged, float32 (n, width)."""
        loudest = samples.float().abs().amax(1, keepdim=True)
        spectrum = compressed(samples.float() / (loudest + 1e-8)).to(self.judge.weight.dtype)
        return self.maps(spectrum).float().mean(2)

    def maps(self, spectrum: Tensor) -> Tensor:
        """The output of `compressed` -> (n, width, half the frames)."""
        found: Tensor = self.convolutions(spectrum)
        return found.flatten(1, 2)


def compressed(samples: Tensor) -> Tensor:
    """Complex spectrum of frames of 20 ms, every 10 ms.

    Args:
        samples: float32 (n, samples), 16 kHz, at least 81, the loudest of a window 1 or -1.

    Returns:
        Real and imaginary parts, magnitudes raised to the power 0.3: float32 (n, 2, 161, frames).
    """
    edge = (_WINDOW - HOP) // 2
    padded = nn.functional.pad(samples[:, None], (edge, edge), mode="reflect")
    parts = torch.stack(nn.functional.conv1d(padded, _fourier(samples.device), stride=HOP).chunk(2, 1), 1)
    power = parts.square().sum(1, keepdim=True).clamp(min=_QUIET**2)
    return parts * power.pow((_EXPONENT - 1) / 2)


def convolutions(channels: Sequence[int], steps: Sequence[int]) -> nn.Sequential:
    """The convolutions, each with its bend; Distill-MOS' own have the same keys.

    Args:
        channels: of each.
        steps: by how much each thins the frames.
    """
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(zip([2, *channels], channels, strict=False)):
        stride = (2 if index else 1, steps[index])
        layers += [nn.Conv2d(before, after, _KERNEL, stride, padding=(0, 1)), nn.LeakyReLU(_SLOPE)]
    return nn.Sequential(*layers)


def branch_width(channels: Sequence[int]) -> int:
    """How many averages there are: the last channels, each at the frequencies that are left."""
    left = _BINS
    for index in range(len(channels)):
        left = (left - _KERNEL) // (2 if index else 1) + 1
    return left * channels[-1]


def _fourier(device: torch.device) -> Tensor:
    """Windowed cosines and negated sines as filters, (322, 1, 320): no weights, and a constant once converted."""
    angle = 2 * math.pi * torch.arange(_BINS)[:, None] * torch.arange(_WINDOW) / _WINDOW
    window = torch.hann_window(_WINDOW)
    return torch.cat([angle.cos() * window, -angle.sin() * window])[:, None].to(device)

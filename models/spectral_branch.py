"""A small convolutional network on the complex spectrum, whose average over time tells what synthesis leaves behind.

It is a narrower copy of the convolutions of Distill-MOS (Stahl and Gamper, "Distillation and pruning for scalable
self-supervised representation-based speech quality assessment", arXiv:2502.05356), which judge the quality of speech;
`lab.training.voice_branch` makes it.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from models.branch import Branch, even_peak, fourier
from models.config_numbers import checked

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
_THINNED = 3
"""Of all frames that the last convolution could look at it takes every third: their average differs little."""


class SpectralBranch(Branch):
    """Samples -> complex spectrum, compressed -> convolutions -> average over time -> one logit of spoof.

    Args:
        channels: of the convolutions. Each but the first halves the frequencies; the first halves the frames.

    Raises:
        ValueError: they are no such numbers; a configuration may say anything.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        given = checked("spectral_branch_channels", channels, _MAX_CONVOLUTIONS)
        super().__init__(given, spectral_branch_width(given))
        self.convolutions = convolutions(given, steps=[2] + [1] * (len(given) - 1))

    def averages(self, samples: Tensor) -> Tensor:
        """(n, samples), of any level -> what is judged, float32 (n, width)."""
        spectrum = compressed(even_peak(samples)).to(self.judge.weight.dtype)
        last = cast("nn.Conv2d", self.convolutions[-2])
        down, along = last.stride
        found = nn.functional.conv2d(
            self.convolutions[:-2](spectrum), last.weight, last.bias, (down, along * _THINNED), padding=(0, 1)
        )
        return nn.functional.leaky_relu(found, _SLOPE).flatten(1, 2).float().mean(2)

    def maps(self, spectrum: Tensor) -> Tensor:
        """The output of `compressed` -> all that `averages` could average, (n, width, half the frames)."""
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
    window = torch.hann_window(_WINDOW, device=samples.device)
    padded = nn.functional.pad(samples[:, None], (edge, edge), mode="reflect")
    parts = torch.stack(nn.functional.conv1d(padded, fourier(window), stride=HOP).chunk(2, 1), 1)
    power = parts.square().sum(1, keepdim=True).clamp(min=_QUIET**2)
    # A power written out, which OpenVINO computes several times as fast.
    return parts * (power.log() * ((_EXPONENT - 1) / 2)).exp()


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


def spectral_branch_width(channels: Sequence[int]) -> int:
    """How many averages there are: the last channels, each at the frequencies that are left."""
    left = _BINS
    for index in range(len(channels)):
        left = (left - _KERNEL) // (2 if index else 1) + 1
    return left * channels[-1]

"""A small convolutional network on the log power spectrum, whose average over time tells what synthesis leaves behind.

Its convolutions are the first ones of PLCMOS (Diener et al., "PLCMOS - a data-driven non-intrusive metric for the
evaluation of packet loss concealment algorithms", arXiv:2305.15127), which judges how well lost packets were filled in;
`lab.training.voice_branch` takes them over.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.branch import Branch, even_peak, fourier
from models.config_numbers import checked

WINDOW = 512
_BINS = WINDOW // 2 + 1
_KERNEL = 3
_POOLED = 4
_SLOPE = 0.1
_PEAK = 0.5
"""Of each window: PLCMOS hears levels, and this is a usual one."""
_QUIET = 1e-7
"""Least power, where a full sine has 4,800: below it lies what int16 cannot hold, and digital silence."""
_SCALE = 1 / 20
"""Of the natural logarithm."""
_MAX_CONVOLUTIONS = 4
"""More would leave no frequency."""
_THINNED = 2
"""Of all frames that the last convolution could look at it takes every other: their average differs little."""


class PowerBranch(Branch):
    """Samples -> log power -> convolutions, each pooled by four in frequency -> average over time -> a logit of spoof.

    PLCMOS takes a frame every 256 samples, and its convolutions every other of them: twice the same network, on even
    frames and on odd ones. Here is one of the two.

    Args:
        channels: of the convolutions.

    Raises:
        ValueError: they are no such numbers; a configuration may say anything.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        given = checked("power_branch_channels", channels, _MAX_CONVOLUTIONS)
        super().__init__(given, power_branch_width(given))
        steps = [1] * (len(given) - 1) + [_THINNED]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, _KERNEL, (step, 1), padding=(0, 1))
            for before, after, step in zip([1, *given], given, steps, strict=False)
        )

    def averages(self, samples: Tensor) -> Tensor:
        """(n, samples), of any level -> what is judged, float32 (n, width)."""
        found = log_power(samples, (_KERNEL - 1) * len(self.channels) + 1).to(self.judge.weight.dtype)
        for layer in self.convolutions:
            found = nn.functional.max_pool2d(nn.functional.leaky_relu(layer(found), _SLOPE), (1, _POOLED))
        return found.float().mean(2).flatten(1)


def log_power(samples: Tensor, least: int = 1) -> Tensor:
    """Log power of frames of 32 ms, one after another.

    Args:
        samples: (n, samples), 16 kHz, of any level.
        least: frames; silence follows samples that are fewer.

    Returns:
        float32 (n, 1, frames, 257).
    """
    even = even_peak(samples) * _PEAK
    # Cut by the shape, which a tracer sees, where the length is another one: nothing is left if there is enough.
    silence = even.new_zeros(even.shape[0], least * WINDOW)[:, even.shape[1] :]
    # Hamming's, written out: OpenVINO does not convert torch's.
    window = 0.54 - 0.46 * (2 * torch.pi * torch.arange(WINDOW, device=even.device) / WINDOW).cos()
    parts = nn.functional.conv1d(torch.cat([even, silence], 1)[:, None], fourier(window), stride=WINDOW)
    cosine, sine = parts.chunk(2, 1)
    power = (cosine.square() + sine.square()).clamp(min=_QUIET)
    return (power.log() * _SCALE).transpose(1, 2)[:, None]


def power_branch_width(channels: Sequence[int]) -> int:
    """How many averages there are: the last channels, each at the frequencies that are left."""
    left = _BINS
    for _ in channels:
        left //= _POOLED
    return left * channels[-1]

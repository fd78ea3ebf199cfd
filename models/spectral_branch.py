"""A small convolutional network over the log spectrum, beside the layers of `models.statistics_wavlm`.

It sees shapes in time and frequency that statistics of single bands do not tell. The mean of each band over the window
is taken off first: that is the recording's, and the head sees it among the statistics.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_RANGE = 2.0
"""About the deviation of the log power around its mean."""
_SMALL = 1e-4
_KERNEL, _STRIDE, _EDGE = 3, 2, 1


class SpectralBranch(nn.Module):
    """Convolutions, each of which halves time and frequency; mean and deviation over time; two linear layers.

    Args:
        filters: Bands of the spectrum.
        channels: Of each convolution.
        width: Of the hidden linear layer.
    """

    def __init__(self, filters: int, channels: Sequence[int], width: int) -> None:
        super().__init__()
        sizes = [1, *channels]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, _KERNEL, _STRIDE, _EDGE) for before, after in zip(sizes, channels, strict=False)
        )
        bands = filters
        for _ in channels:
            bands = (bands + _STRIDE - 1) // _STRIDE
        self.hidden = nn.Linear(2 * sizes[-1] * bands, width)
        self.out = nn.Linear(width, 2)
        self.dropout = 0.0

    def forward(self, spectrum: Tensor) -> Tensor:
        """Log power, float32 (n, frames, filters) -> what is added to the logits, float32 (n, 2)."""
        # In float32 whatever the layers compute in: it costs a twentieth of them.
        values = ((spectrum - spectrum.mean(1, keepdim=True)) / _RANGE)[:, None]
        for layer in self.convolutions:
            values = nn.functional.conv2d(values, layer.weight.float(), layer.bias.float(), _STRIDE, _EDGE)
            values = nn.functional.gelu(values)
        mean = values.mean(2, keepdim=True)
        deviation = torch.sqrt((values - mean).square().mean(2) + _SMALL)
        pooled = torch.cat([mean.squeeze(2), deviation], 1).flatten(1)
        pooled = nn.functional.dropout(pooled, self.dropout, self.training)
        hidden = nn.functional.gelu(nn.functional.linear(pooled, self.hidden.weight.float(), self.hidden.bias.float()))
        return nn.functional.linear(hidden, self.out.weight.float(), self.out.bias.float())

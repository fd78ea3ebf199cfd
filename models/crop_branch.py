"""What stands beside a face model's layers: convolutions on the middle of its picture, and one logit of spoof.

Inverted residuals (Sandler et al., "MobileNetV2", arXiv:1801.04381) with PReLUs, as in networks for faces (Chen et al.,
"MobileFaceNets", arXiv:1804.07573); the last of each stage weighs its channels (Hu et al., "Squeeze-and-Excitation
Networks", arXiv:1709.01507).
"""

from typing import Final

import torch
from torch import Tensor, nn

SIDE: Final = 80
"""Pixels of the edges of what a branch is given."""
_BLOCKS: Final = (
    *((32, 64, 128, 2, False), *[(64, 64, 64, 1, False)] * 3, (64, 64, 64, 1, True)),
    *((64, 128, 256, 2, False), (128, 128, 256, 1, False), *[(128, 128, 96, 1, False)] * 4, (128, 128, 96, 1, True)),
    *((128, 128, 320, 2, False), (128, 128, 96, 1, False), (128, 128, 96, 1, True)),
)
"""Channels before, after and between, the stride, and whether channels are weighed, of each inverted residual."""
_FIRST, _LAST, _SEEN = 32, 512, 128
_SQUEEZED = 32
_EDGE = SIDE // 16
"""Of the last maps."""
_CLOSEST = 1e-3
"""No probability of branches is nearer to 0."""


class CropBranch(nn.Module):
    """Pictures -> their middle -> `blocks`, one after the other -> one logit of spoof.

    Args:
        edge: pixels of the middle's edges.
    """

    def __init__(self, edge: int) -> None:
        super().__init__()
        self.edge = edge
        first = nn.Sequential(
            _convolution(3, 2 * _FIRST, 3, 2),
            _convolution(2 * _FIRST, 2 * _FIRST, 3, groups=2 * _FIRST),
            _convolution(2 * _FIRST, _FIRST, 1),
        )
        wide = _BLOCKS[-1][1]
        last = nn.Sequential(
            _convolution(wide, _LAST, 1),
            nn.Conv2d(_LAST, _LAST, _EDGE, groups=_LAST, bias=False),
            nn.BatchNorm2d(_LAST),
        )
        residuals = [Residual(*block) for block in _BLOCKS]
        seen = nn.Sequential(nn.Flatten(), nn.Linear(_LAST, _SEEN))
        judge = nn.Sequential(nn.BatchNorm1d(_SEEN), nn.Linear(_SEEN, 1))
        self.blocks = nn.ModuleList([first, *residuals, last, seen, judge])

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, height, width), as the model is given them -> logits of spoof, float32 (n,)."""
        values = middle(pictures, self.edge)
        for block in self.blocks:
            values = block(values)
        return values.float().squeeze(1)


class Residual(nn.Module):
    """Widened, filtered channel by channel, narrowed; the input is added where it has the same shape.

    Attributes:
        adds: whether it is.
    """

    def __init__(self, before: int, after: int, wide: int, stride: int, weighs: bool) -> None:
        super().__init__()
        self.adds = stride == 1 and before == after
        self.layers = nn.Sequential(
            _convolution(before, wide, 1),
            _convolution(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.weights = _weights(after) if weighs else None

    def forward(self, values: Tensor) -> Tensor:
        """(n, before, height, width) -> (n, after, ...), `stride` times smaller."""
        found: Tensor = self.layers(values)
        if self.weights is not None:
            found = found * self.weights(found)
        return values + found if self.adds else found


def middle(pictures: Tensor, edge: int) -> Tensor:
    """The middle of pictures, resized by reading the four pixels around each place.

    Args:
        pictures: float (n, 3, height, width).
        edge: pixels of the middle's edges.

    Returns:
        (n, 3, `SIDE`, `SIDE`).

    Raises:
        ValueError: there are fewer.
    """
    if edge > min(pictures.shape[2:]):
        raise ValueError(f"a branch is given {edge} x {edge} pixels, of pictures that have fewer")
    top, left = (pictures.shape[2] - edge) // 2, (pictures.shape[3] - edge) // 2
    cut = pictures[:, :, top : top + edge, left : left + edge]
    return nn.functional.interpolate(cut, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def together(logits: Tensor) -> Tensor:
    """The log odds of the mean of the branches' probabilities.

    Args:
        logits: of spoof, of each branch, float32 (branches, n).

    Returns:
        float32 (n,), within 7 of 0: what a branch is sure of, it need not be right about.
    """
    # Of both classes' probabilities: in bf16 there is nothing between 0.996 and 1.
    spoof, live = (torch.sigmoid(side).mean(0) + _CLOSEST for side in (logits, -logits))
    return torch.log(spoof) - torch.log(live)


def _convolution(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        nn.PReLU(after),
    )


def _weights(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, _SQUEEZED, 1),
        nn.ReLU(),
        nn.Conv2d(_SQUEEZED, channels, 1),
        nn.Sigmoid(),
    )

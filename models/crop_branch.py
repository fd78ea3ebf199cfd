"""What stands beside a face model's layers: convolutions on the middle of its picture, and one logit of spoof.

Inverted residuals with PReLUs, as in networks for faces (Chen et al., "MobileFaceNets", arXiv:1804.07573); the last of
each stage weighs its channels.
"""

from typing import Final

import torch
from torch import Tensor, nn

from models.inverted_residual import Residual, convolution

SIDE: Final = 80
"""Pixels of the edges of what a branch is given."""
_BLOCKS: Final = (
    *((32, 64, 128, 2, False), *[(64, 64, 64, 1, False)] * 3, (64, 64, 64, 1, True)),
    *((64, 128, 256, 2, False), (128, 128, 256, 1, False), *[(128, 128, 96, 1, False)] * 4, (128, 128, 96, 1, True)),
    *((128, 128, 320, 2, False), (128, 128, 96, 1, False), (128, 128, 96, 1, True)),
)
"""Channels before, after and between, the stride, and whether channels are weighed, of each inverted residual."""
_FIRST, _LAST, _SEEN = 32, 512, 128
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
            convolution(3, 2 * _FIRST, 3, nn.PReLU, 2),
            convolution(2 * _FIRST, 2 * _FIRST, 3, nn.PReLU, groups=2 * _FIRST),
            convolution(2 * _FIRST, _FIRST, 1, nn.PReLU),
        )
        wide = _BLOCKS[-1][1]
        last = nn.Sequential(
            convolution(wide, _LAST, 1, nn.PReLU),
            nn.Conv2d(_LAST, _LAST, _EDGE, groups=_LAST, bias=False),
            nn.BatchNorm2d(_LAST),
        )
        residuals = [
            Residual(before, after, between, stride, nn.PReLU, weighs=weighs)
            for before, after, between, stride, weighs in _BLOCKS
        ]
        seen = nn.Sequential(nn.Flatten(), nn.Linear(_LAST, _SEEN))
        judge = nn.Sequential(nn.BatchNorm1d(_SEEN), nn.Linear(_SEEN, 1))
        self.blocks = nn.ModuleList([first, *residuals, last, seen, judge])

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, height, width), as the model is given them -> logits of spoof, float32 (n,)."""
        values = middle(pictures, self.edge)
        for block in self.blocks:
            values = block(values)
        return values.float().squeeze(1)


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

"""The pair's maps as what the model's own are to resemble: denser teaching than a verdict a face.

Romero et al., "FitNets: Hints for Thin Deep Nets", arXiv:1412.6550.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.training.face_pair import PairOutput
from lab.training.face_views import SIDE, cut

_NEAR, _LAST = 10, 5
"""Edges of the maps after the pair's last two stages."""


class Maps(NamedTuple):
    """Of the model, for n faces.

    Attributes:
        eighth: after the stage that has one place for 8 x 8 pixels, float32 (n, channels, 16, 16).
        sixteenth: after the last stage of convolutions, float32 (n, channels, 8, 8).
        tokens: after the layers, float32 (n, hidden_size, 8, 8).
    """

    eighth: Tensor
    sixteenth: Tensor
    tokens: Tensor


class Hints(nn.Module):
    """Linear maps from what the model sees at a place to what the pair sees there.

    Args:
        eighth: channels of the model's maps, see `Maps`.
        sixteenth: the same.
        tokens: the same.
    """

    def __init__(self, eighth: int, sixteenth: int, tokens: int) -> None:
        super().__init__()
        widths = ((eighth, 128), (eighth, 64), (sixteenth, 128), (tokens, 128), (tokens, 128))
        self.projections = nn.ModuleList(nn.Conv2d(before, after, 1) for before, after in widths)

    def forward(self, maps: Maps, near: Tensor) -> list[Tensor]:
        """What the pair's maps would be, as `targets` has them; `near` as in `Views`."""
        places = (
            cut(maps.eighth, near * maps.eighth.shape[2] / SIDE, _NEAR),
            maps.eighth,
            maps.sixteenth,
            cut(maps.tokens, near * maps.tokens.shape[2] / SIDE, _LAST),
            functional.adaptive_avg_pool2d(maps.tokens, _LAST),
        )
        return [projection(place) for projection, place in zip(self.projections, places, strict=True)]


def targets(output: PairOutput) -> list[Tensor]:
    """The pair's maps, in the model's places where they lie closer."""
    (_, near, near_last), (wide_first, wide, wide_last) = output.near, output.wide
    eighth, sixteenth = (functional.adaptive_avg_pool2d(each, SIDE // by) for each, by in ((wide_first, 8), (wide, 16)))
    return [near, eighth, sixteenth, near_last, wide_last]


class Standard(NamedTuple):
    """Mean and deviation of each channel, over faces and places."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, values: Sequence[Tensor]) -> "Standard":
        """Of all batches (n, channels, ...) together."""
        together = torch.cat(list(values))
        over = [axis for axis in range(together.ndim) if axis != 1]
        return cls(together.mean(over, keepdim=True), together.std(over, keepdim=True) + 1e-3)

    def __call__(self, values: Tensor) -> Tensor:
        """Values with mean 0 and deviation 1."""
        return (values - self.mean) / self.deviation

"""The branches of a voice model together: their averages side by side, and one regression that judges them all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lab.training.compiled import compiled
from models.branch import Branch

Floats = NDArray[np.float32]

_STEADY = 1e-3


@dataclass(frozen=True)
class Branches:
    """Branches by their name in `models.statistics_wavlm`; what judges them is changed in place.

    Attributes:
        named: their averages lie one after another in this order.
    """

    named: Mapping[str, Branch]

    @property
    def width(self) -> int:
        """How many averages there are."""
        return sum(self._widths())

    def averages(self, windows: NDArray[np.int16] | Floats) -> Floats:
        """Those of whole windows of any level, (n, 64000) -> float32 (n, width)."""
        return np.concatenate([averages(branch, windows) for branch in self.named.values()], 1)

    @torch.inference_mode()
    def logits(self, found: Floats) -> Floats:
        """What is made of averages, float32 (n, width) -> logits of spoof, (n,)."""
        parts = torch.split(torch.from_numpy(found), self._widths(), 1)
        judged = [branch.judged(part) for branch, part in zip(self.named.values(), parts, strict=True)]
        return np.asarray(torch.stack(judged).sum(0).numpy())

    @torch.no_grad()
    def judge_by(self, weight: Tensor, bias: Tensor, centre: Tensor, spread: Tensor) -> None:
        """Writes one regression on all averages into the branches.

        Args:
            weight: of the standardised averages, float32 (width,), of the logit of spoof.
            bias: float32 (); the first branch has it.
            centre: of the averages, float32 (width,).
            spread: of the averages, float32 (width,).
        """
        parts = (torch.split(each, self._widths()) for each in (weight, centre, spread))
        for branch, part, middle, deviation in zip(self.named.values(), *parts, strict=True):
            branch.get_buffer("centre").copy_(middle)
            branch.get_buffer("spread").copy_(deviation)
            branch.judge.weight.copy_(part[None])
            branch.judge.bias.copy_(bias[None])
            bias = torch.zeros_like(bias)

    @torch.no_grad()
    def rescale(self, mean: float, deviation: float) -> None:
        """From now on logits are less `mean`, and divided by `deviation`."""
        for branch in self.named.values():
            branch.judge.bias.sub_(mean).div_(deviation)
            branch.judge.weight.div_(deviation)
            mean = 0.0

    def _widths(self) -> list[int]:
        return [branch.judge.in_features for branch in self.named.values()]


def averages(branch: Branch, windows: NDArray[np.int16] | Floats) -> Floats:
    """Those of whole windows of any level, (n, samples) -> float32 (n, width)."""
    return compiled(branch.averages, branch, windows.shape[1])(windows)


@torch.no_grad()
def even(branch: Branch, windows: NDArray[np.int16]) -> None:
    """Scales the last convolution so that averages have a deviation of about 1, and half precision holds them well.

    A positive factor passes its bend.

    Args:
        branch: changed in place.
        windows: int16 (n, 64000).
    """
    last = [layer for layer in branch.modules() if isinstance(layer, nn.Conv2d)][-1]
    deviation = torch.from_numpy(averages(branch, windows[:: max(1, len(windows) // 512)])).std(0)
    of_channel = deviation.view(last.out_channels, -1).mean(1).clamp(min=float(deviation.mean()) * _STEADY)
    last.weight.div_(of_channel.view(-1, 1, 1, 1))
    assert last.bias is not None  # noqa: S101  # all have one
    last.bias.div_(of_channel)

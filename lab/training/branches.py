"""The branches of a voice model together: their averages side by side, each judged by itself, and their odds added."""

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
        return sum(branch.judge.in_features for branch in self.named.values())

    def averages(self, windows: NDArray[np.int16] | Floats) -> Floats:
        """Those of whole windows of any level, (n, 64000) -> float32 (n, width)."""
        return np.concatenate([averages(branch, windows) for branch in self.named.values()], 1)

    def logits(self, found: Floats) -> Floats:
        """What is made of averages, float32 (n, width) -> logits of spoof, of all odds together, (n,)."""
        judged = [logits(branch, part) for branch, part in zip(self.named.values(), self.parts(found), strict=True)]
        return np.asarray(np.logaddexp.reduce(judged))

    def parts(self, found: Floats) -> list[Floats]:
        """Averages, float32 (n, width) -> those of each branch."""
        ends = np.cumsum([branch.judge.in_features for branch in self.named.values()])
        return np.split(found, ends[:-1], 1)


@torch.inference_mode()
def logits(branch: Branch, found: Floats) -> Floats:
    """What a branch makes of its averages, float32 (n, its width) -> logits of spoof, (n,)."""
    return np.asarray(branch.judged(torch.from_numpy(found)).numpy())


@torch.no_grad()
def judge_by(branch: Branch, weight: Tensor, bias: Tensor, centre: Tensor, spread: Tensor) -> None:
    """Writes a regression on its averages into a branch.

    Args:
        branch: changed in place.
        weight: of the standardised averages, float32 (width,), of the logit of spoof.
        bias: float32 ().
        centre: of the averages, float32 (width,).
        spread: of the averages, float32 (width,).
    """
    branch.get_buffer("centre").copy_(centre)
    branch.get_buffer("spread").copy_(spread)
    branch.judge.weight.copy_(weight[None])
    branch.judge.bias.copy_(bias[None])


@torch.no_grad()
def rescale(branch: Branch, mean: float, deviation: float) -> None:
    """From now on its logits are less `mean`, and divided by `deviation`."""
    branch.judge.bias.sub_(mean).div_(deviation)
    branch.judge.weight.div_(deviation)


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

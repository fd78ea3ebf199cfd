"""What the published pair's networks see from block to block: each block of a branch is taught by one of theirs.

Its weights are read as in `face_pair.py`, and none are kept.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from lab.training.face_pair import LIVE, networks

_ENDS: Final = (
    "/conv2_dw/prelu/PRelu",
    "/conv_23/project/conv/Conv",
    *(f"/conv_3/model/model.{index}/Add" for index in range(4)),
    "/conv_34/project/conv/Conv",
    *(f"/conv_4/model/model.{index}/Add" for index in range(6)),
    "/conv_45/project/conv/Conv",
    *(f"/conv_5/model/model.{index}/Add" for index in range(2)),
    "/conv_6_dw/conv/Conv",
    "/linear/MatMul",
)
"""The ends of a network's blocks, as the files name them; there is one more block, which judges."""


class Steps(NamedTuple):
    """Of one network, for n faces.

    Attributes:
        ends: of its blocks but for the last, float32 (n, channels, height, width) or (n, channels).
        fake: its probability of fake, float32 (n,).
    """

    ends: list[Tensor]
    fake: Tensor


class PairSteps:
    """Both networks, opened to be looked into.

    Args:
        folder: of their files.
        threads: of the processor.

    Raises:
        FileNotFoundError: one of them is not there.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self._networks = networks(folder, threads, _opened)

    def of(self, near: Tensor, wide: Tensor) -> list[Steps]:
        """What both see of n faces, given as to `PublishedPair.judge`."""
        return [
            _steps(list(network((pictures.flip(1) * 255).contiguous().numpy()).values()))
            for network, pictures in zip(self._networks, (near, wide), strict=True)
        ]


def _opened(model: Any) -> Any:
    """A network that also gives what it sees at each of `_ENDS`."""
    named = {node.get_friendly_name(): node for node in model.get_ordered_ops()}
    model.add_outputs([named[end].output(0) for end in _ENDS])
    return model


def _steps(outputs: list[Any]) -> Steps:
    logits, *ends = (torch.from_numpy(output.copy()) for output in outputs)
    return Steps(ends, 1 - torch.softmax(logits, 1)[:, LIVE])

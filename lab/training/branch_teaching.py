"""Teaches the spectral branch what Distill-MOS' convolutions find, at a tenth of their cost: no label is needed."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lab.training import distill_mos
from lab.training.compiled import program
from lab.training.kept_rows import write_rows
from lab.training.voice_recordings import FULL_SCALE
from models.spectral_branch import HOP, SpectralBranch, compressed

log = logging.getLogger(__name__)

_NOTE_S = 30.0
_HELD_OUT = 64
"""Windows that are not learned from, which tell how close the copy is."""
_STEADY = 1e-3


@dataclass(frozen=True)
class Copying:
    """How the branch is taught.

    Attributes:
        channels: of its convolutions; the last has as many as the network's.
        steps: optimizer steps.
        batch: crops in a step.
        crop_frames: length of a crop in frames of 20 ms.
        learning_rate: peak; it rises for a twentieth of the steps and falls to zero.
        seed: of crops, order and weights.
    """

    channels: Sequence[int]
    steps: int
    batch: int
    crop_frames: int
    learning_rate: float
    seed: int


def maps_of(windows: NDArray[np.int16], file: Path) -> NDArray[np.float16]:
    """What the network finds in each window, float16 (n, 1024, 200), on disk; a finished file is opened again."""
    if not file.exists():
        compiled = program(_Maps(distill_mos.network()), windows.shape[1], {})
        shape = (len(windows), *compiled.output(0).shape[1:])
        rows = (compiled(_floats(each[None]))[0][0] for each in windows)
        write_rows(file, shape, np.float16, rows, "teacher's windows")
    found: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return found


def taught(windows: NDArray[np.int16], maps: NDArray[np.float16], plan: Copying) -> SpectralBranch:
    """The branch with its convolutions taught; what judges their averages is not.

    Args:
        windows: int16 (n, 64000).
        maps: of `maps_of`.
        plan: how.
    """
    torch.manual_seed(plan.seed)
    branch = SpectralBranch(plan.channels)
    begin(branch.convolutions, distill_mos.network())
    sample = torch.from_numpy(maps[:: max(1, len(maps) // 256)].astype(np.float32))
    spread = sample.std((0, 2)) + _STEADY * sample.std()
    of_means = sample.mean(2).std(0) / spread + _STEADY
    optimizer = torch.optim.AdamW(branch.convolutions.parameters(), plan.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.learning_rate, plan.steps, pct_start=0.05)
    noted = time.monotonic()
    for step, (samples, wanted) in enumerate(_crops(windows, maps, plan)):
        given = (branch.maps(compressed(samples)) - wanted) / spread[None, :, None]
        loss = given.square().mean() + (given.mean(2) / of_means).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(branch.convolutions.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if time.monotonic() - noted > _NOTE_S or step + 1 == plan.steps:
            noted = time.monotonic()
            log.info(
                "step %d of %d: averages explained %.3f", step + 1, plan.steps, explained(branch, windows, maps, spread)
            )
    return branch.train(False)


@torch.inference_mode()
def explained(branch: SpectralBranch, windows: NDArray[np.int16], maps: NDArray[np.float16], spread: Tensor) -> float:
    """Share of the variance of the network's averages that the branch's explain, on the windows held out."""
    ours = torch.cat(
        [branch.maps(compressed(torch.from_numpy(_floats(each[None])))).mean(2) for each in windows[-_HELD_OUT:]]
    )
    theirs = torch.from_numpy(maps[-_HELD_OUT:].astype(np.float32)).mean(2)
    error, own = ((ours - theirs) / spread).square().mean(), (theirs / spread).var(0).mean()
    return 1 - float(error / own)


@torch.no_grad()
def begin(narrow: nn.Sequential, wide: nn.Sequential) -> None:
    """Begins with the channels of the wide convolutions that the next ones weigh most; as many as there are.

    Args:
        narrow: changed in place; the last has all channels.
        wide: the network's.
    """
    own = [layer for layer in narrow if isinstance(layer, nn.Conv2d)]
    given = [layer for layer in wide if isinstance(layer, nn.Conv2d)]
    before = torch.arange(given[0].in_channels)
    for index, (small, large) in enumerate(zip(own, given, strict=True)):
        weighed = given[index + 1].weight if index + 1 < len(given) else None
        strength = large.weight.flatten(1).norm(dim=1)
        if weighed is not None:
            strength = strength * weighed.transpose(0, 1).flatten(1).norm(dim=1)
        kept = strength.topk(small.out_channels).indices.sort().values
        # What is left out is made up for, on average.
        share = (large.in_channels / small.in_channels) ** 0.5
        small.weight.copy_(large.weight[kept][:, before] * share)
        assert small.bias is not None  # noqa: S101  # all have one
        assert large.bias is not None  # noqa: S101
        small.bias.copy_(large.bias[kept])
        before = kept


def _crops(windows: NDArray[np.int16], maps: NDArray[np.float16], plan: Copying) -> Iterator[tuple[Tensor, Tensor]]:
    rng = np.random.default_rng(plan.seed)
    count, most = len(windows) - _HELD_OUT, maps.shape[2] - plan.crop_frames
    for _ in range(plan.steps):
        chosen = np.sort(rng.choice(count, plan.batch, replace=False))
        starts = rng.integers(0, most + 1, plan.batch)
        ends = starts + plan.crop_frames
        samples = [windows[n, a * 2 * HOP : b * 2 * HOP] for n, a, b in zip(chosen, starts, ends, strict=True)]
        wanted = [maps[n, :, a:b] for n, a, b in zip(chosen, starts, ends, strict=True)]
        yield torch.from_numpy(_floats(np.stack(samples))), torch.from_numpy(np.stack(wanted).astype(np.float32))


class _Maps(nn.Module):
    def __init__(self, convolutions: nn.Module) -> None:
        super().__init__()
        self.convolutions = convolutions

    def forward(self, samples: Tensor) -> Tensor:
        found: Tensor = self.convolutions(compressed(samples))
        return found.flatten(1, 2)


def _floats(windows: NDArray[np.int16]) -> NDArray[np.float32]:
    return np.asarray(windows, np.float32) / np.float32(FULL_SCALE)

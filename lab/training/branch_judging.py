"""What judges a branch: a logistic regression on windows as recorded, behind calls, and modern ones as they are."""

import logging
from dataclasses import dataclass
from itertools import compress

import numpy as np
import torch

from lab.training import voice_head
from lab.training.branch_windows import Recorded, Shown
from lab.training.branches import judge_by, logits, rescale
from lab.training.data.manifest import SPOOF
from lab.training.voice_probe import site

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judging:
    """How the branches are judged.

    Attributes:
        ridge: weight of the regression's squared weights in its loss.
        as_they_are: share of modern windows as they lie on disk in what the regression learns from, 0..1, half of it
            of each class; the others are recorded ones and calls, half each.
    """

    ridge: float
    as_they_are: float


def judge(heard: Recorded, windows: Shown, plan: Judging, without: frozenset[str] = frozenset()) -> None:
    """Fits what judges the averages of each branch, a logistic regression, and writes it there.

    What it gives is told in deviations from its mean over real speech of the development split, so that the odds of
    branches can be added: one regression on the averages of all of them tells fewer systems that it has not met.

    Args:
        heard: its branches are changed in place.
        windows: those of the train split are learned from too.
        plan: how.
        without: sites that it does not learn from.
    """
    chosen = [item.split == "train" and site(item) not in without for item in windows.items]
    also = [site(item) not in without for item in heard.items]
    items = [*compress(heard.items, also), *compress(windows.items, chosen)]
    spoof = torch.tensor([item.label == SPOOF for item in items]).float()
    counts = torch.where(torch.arange(len(items)) < sum(also), 1 - plan.as_they_are, plan.as_they_are)
    for part in _parts(sum(also), spoof):
        counts[part] /= max(1, int(part.sum()))
    counts /= counts.sum()
    branches = heard.branches
    seen = zip(branches.named.items(), *map(branches.parts, (heard.averages, windows.averages)), strict=True)
    for (name, branch), recorded, as_they_are in seen:
        averages = torch.from_numpy(np.concatenate([recorded[also], as_they_are[chosen]]))
        centre = counts @ averages
        spread = (counts @ (averages - centre).square()).sqrt() + 1e-2
        weight, bias, loss = voice_head.regression((averages - centre) / spread, spoof, plan.ridge, counts)
        log.info("%s: judged %d windows, loss %.3f", name, len(items), loss)
        judge_by(branch, weight, bias, centre, spread)
        real = logits(branch, as_they_are[windows.real])
        rescale(branch, float(real.mean()), float(real.std()))


def _parts(recorded: int, spoof: torch.Tensor) -> list[torch.Tensor]:
    """Real and spoofed windows, of the recorded ones and of the others: each part counts as much as it is told to."""
    first = torch.arange(len(spoof)) < recorded
    return [side & (spoof == kind) for side in (first, ~first) for kind in (0, 1)]

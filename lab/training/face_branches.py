"""Teaches the branches of the face model what a published pair of networks sees, block by block, then as a whole.

`python -m lab.training.face_branches --first FOLDER --weights FOLDER --output FOLDER` reads the crops that
`python -m lab.training.data.face_crops` wrote and one YAML file, logs how closely the branches follow the pair, and
writes the first folder's model with its branches. No label is needed: the pair is asked about the very pixels.

A block that is given what its teacher's block was given has a shallow problem of its own, which a few hundred steps
solve (as in Wang et al., "Progressive Blockwise Knowledge Distillation for Neural Network Acceleration", IJCAI 2018).
"""

import argparse
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

from lab.metrics import eer
from lab.training.averaging import decaying, running_mean
from lab.training.data.face_crops import Crops, read_crops
from lab.training.face_batches import drawn, order_of
from lab.training.face_distilled import GEOMETRY
from lab.training.face_export import export
from lab.training.face_steps import PairSteps, Steps
from lab.training.face_views import FACE_FACTOR, NEAR_FACTOR, SIDE, as_planes
from lab.training.recipe import read_recipe
from models.convolutional_dinov2 import Dinov2WithConvolutions
from models.crop_branch import CropBranch, middle, together
from models.inverted_residual import Residual
from models.preprocessing import IMAGENET_MEAN, IMAGENET_STD

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
EDGES = (round(SIDE * NEAR_FACTOR / FACE_FACTOR), SIDE)
"""Of the middle that each branch is given, as the first and the second of the pair are."""
_MEAN, _STD = (torch.tensor(each).view(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
_LEAST_RATE = 0.05
_WARMUP = 30
"""Steps."""
_SAMPLED = 6
"""Batches over which the ends of blocks are standardised."""
_AT_ONCE = 64
_LEAST_PROBABILITY = 1e-4
"""Of the teacher's, in its log odds."""


@dataclass(frozen=True)
class Recipe:
    """The YAML file; its comments explain each value."""

    seed: int
    batch_size: int
    blended: float
    block_steps: int
    whole_steps: int
    block_learning_rate: float
    whole_learning_rate: float
    weight_decay: float
    averaging: float
    ends: float
    odds: float
    eval_steps: int
    earlier_less: float


Teacher = Callable[[Tensor], list[Steps]]
"""What the pair sees of pictures, float32 (n, 3, `SIDE`, `SIDE`), RGB, 0..1."""


def teacher(pair: PairSteps) -> Teacher:
    """The pair, given the middle of pictures as the branches are."""
    return lambda pictures: pair.of(*(middle(pictures, edge) for edge in EDGES))


def prepared(pictures: Tensor) -> Tensor:
    """RGB, 0..1 -> as the served model's branches are given them."""
    return (pictures - _MEAN) / _STD


def block_losses(
    branch: CropBranch, pictures: Tensor, steps: Steps, spreads: Sequence[Tensor], odds: float
) -> list[Tensor]:
    """How far each block is from its teacher, given what that one was given; the last one's is of its verdict."""
    given = [middle(prepared(pictures), branch.edge), *steps.ends]
    found = [block(values) for block, values in zip(branch.blocks, given, strict=True)]
    far = [
        ((own - end) / spread).square().mean() for own, end, spread in zip(found[:-1], steps.ends, spreads, strict=True)
    ]
    return [*far, _verdict_loss(found[-1].squeeze(1), steps, odds)]


def whole_loss(
    branch: CropBranch, pictures: Tensor, steps: Steps, spreads: Sequence[Tensor], ends: float, odds: float
) -> Tensor:
    """How far the branch is from its teacher, given the picture alone, a scalar."""
    values = middle(prepared(pictures), branch.edge)
    far = values.new_zeros(())
    for block, end, spread in zip(list(branch.blocks)[:-1], steps.ends, spreads, strict=True):
        values = block(values)
        off = (values - end) / spread
        far = far + functional.smooth_l1_loss(off, torch.zeros_like(off))
    return _verdict_loss(branch.blocks[-1](values).squeeze(1), steps, odds) + ends * far


def _verdict_loss(logits: Tensor, steps: Steps, odds: float) -> Tensor:
    """The divergence from the teacher's probability, and the distance from its log odds."""
    entropy = functional.binary_cross_entropy(steps.fake, steps.fake)
    divergence = functional.binary_cross_entropy_with_logits(logits, steps.fake) - entropy
    return divergence + odds * functional.smooth_l1_loss(logits, torch.logit(steps.fake, _LEAST_PROBABILITY))


def spreads_of(branch: CropBranch, seen: Sequence[Steps]) -> list[Tensor]:
    """The deviation of each channel of what each block but the last adds, over faces and places."""
    spreads = []
    for index, block in enumerate(list(branch.blocks)[:-1]):
        adds = isinstance(block, Residual) and block.adds
        values = torch.cat([steps.ends[index] - steps.ends[index - 1] if adds else steps.ends[index] for steps in seen])
        over = [axis for axis in range(values.ndim) if axis != 1]
        # A channel that hardly varies is not to weigh more than all others.
        spreads.append(values.std(over, keepdim=True) + 0.01 * values.std())
    return spreads


class Teaching:
    """A training of both branches.

    Args:
        recipe: how.
        crops: of the training split.
        dev: of the dev split.
        teach: the pair.
        begun: branches to go on with, which change; None: new ones.
    """

    def __init__(
        self,
        recipe: Recipe,
        crops: Crops,
        dev: Crops,
        teach: Teacher,
        begun: Sequence[CropBranch] | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self._recipe, self._crops, self._dev, self._teach = recipe, crops, dev, teach
        self.branches = nn.ModuleList(begun or map(CropBranch, EDGES))
        seen = list(zip(*(teach(self._pictures(step)) for step in range(_SAMPLED)), strict=True))
        self._spreads = [spreads_of(branch, each) for branch, each in zip(_branches(self.branches), seen, strict=True)]
        self._dev_odds = torch.cat([odds_of(teach(part)) for part in self._parts_of_dev()])
        self.mean = running_mean(self.branches, recipe.averaging)
        self._optimizer = torch.optim.AdamW(decaying(self.branches, recipe.weight_decay))

    def run(self) -> list[CropBranch]:
        """Teaches to the end, and returns the running mean of the branches."""
        recipe, began, losses = self._recipe, time.monotonic(), []
        steps = recipe.block_steps + recipe.whole_steps
        self.branches.train()
        for step in range(steps):
            losses.append(self._one_step(step))
            if (step + 1) % recipe.eval_steps == 0 or step + 1 in (recipe.block_steps, steps):
                left = (time.monotonic() - began) / (step + 1) * (steps - step - 1)
                log.info(
                    "step %d of %d: loss %.3f, %s, %s left",
                    step + 1, steps, float(np.mean(losses)), self.dev_figures(), timedelta(seconds=round(left)),
                )  # fmt: skip
                losses = []
        return _branches(self.mean.module)

    def dev_figures(self) -> str:
        """How closely the mean follows the pair on dev crops, and both EERs by simulator, as text."""
        odds, spoof = self._judged_dev().numpy(), self._dev.spoof == 1
        rank = float(stats.spearmanr(odds, self._dev_odds.numpy()).statistic)
        errors = [
            f"{name} {100 * eer(odds[chosen], spoof[chosen]):.1f} % "
            f"(the pair {100 * eer(self._dev_odds.numpy()[chosen], spoof[chosen]):.1f} %)"
            for name in sorted(set(self._dev.simulator.tolist()))
            for chosen in [self._dev.simulator == name]
        ]
        spread = float(odds.std() / self._dev_odds.numpy().std())
        return f"rank correlation with the pair {rank:.2f}, deviation {spread:.2f} of its, dev EER {', '.join(errors)}"

    def _one_step(self, step: int) -> float:
        recipe = self._recipe
        by_block = step < recipe.block_steps
        first, count, peak = (
            (0, recipe.block_steps, recipe.block_learning_rate)
            if by_block
            else (recipe.block_steps, recipe.whole_steps, recipe.whole_learning_rate)
        )
        falling = (1 + np.cos(np.pi * (step - first) / count)) / 2
        for group in self._optimizer.param_groups:
            share = _LEAST_RATE + (1 - _LEAST_RATE) * falling
            group["lr"] = peak * min(1.0, (step - first + 1) / _WARMUP) * share
        pictures = self._pictures(step)
        found = torch.zeros(())
        for branch, steps, spreads in zip(_branches(self.branches), self._teach(pictures), self._spreads, strict=True):
            if by_block:
                found = found + torch.stack(block_losses(branch, pictures, steps, spreads, recipe.odds)).sum()
            else:
                found = found + whole_loss(branch, pictures, steps, spreads, recipe.ends, recipe.odds)
        self._optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.branches.parameters(), 5.0)
        self._optimizer.step()
        self.mean.update_parameters(self.branches)
        return found.item()

    def _pictures(self, step: int) -> Tensor:
        size = self._recipe.batch_size
        places, rng = order_of(self._recipe.seed, step, len(self._crops.spoof), size)
        return drawn(self._crops, places, self._recipe.blended, rng).pictures

    def _parts_of_dev(self) -> list[Tensor]:
        pictures = self._dev.pictures
        return [as_planes(pictures[at : at + _AT_ONCE]) for at in range(0, len(pictures), _AT_ONCE)]

    def _judged_dev(self) -> Tensor:
        branches = _branches(self.mean.train(False).module)
        with torch.inference_mode():
            return torch.cat(
                [
                    together(torch.stack([branch(prepared(part)) for branch in branches]))
                    for part in self._parts_of_dev()
                ]
            )


def odds_of(seen: Sequence[Steps]) -> Tensor:
    """The pair's log odds of fake, as the branches' are put together, float32 (n,)."""
    return together(torch.stack([torch.logit(steps.fake, 1e-7) for steps in seen]))


def branches_of(folder: Path) -> list[CropBranch]:
    """The branches of the model in a folder."""
    return _branches(Dinov2WithConvolutions.from_pretrained(folder, local_files_only=True).branches)


def _branches(among: nn.Module) -> list[CropBranch]:
    return [each for each in among.children() if isinstance(each, CropBranch)]


def joined(folder: Path, branches: Sequence[CropBranch], earlier_less: float) -> Dinov2WithConvolutions:
    """The model in a folder, without branches of its own, with these beside it.

    Args:
        folder: of a `Dinov2WithConvolutions`.
        branches: taught.
        earlier_less: what is taken off its own log odds.
    """
    model = Dinov2WithConvolutions.from_pretrained(folder, local_files_only=True)
    model.config.branch_edges = [branch.edge for branch in branches]
    model.branches = nn.ModuleList(branches)
    with torch.no_grad():
        model.classifier.get_parameter("bias").add_(torch.tensor([earlier_less, -earlier_less]) / 2)
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.face_branches", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--config", type=Path, default=HERE / "face-branches.yaml", help="the recipe (%(default)s)")
    parser.add_argument("--first", type=Path, required=True, help="folder of the model that gets branches")
    parser.add_argument("--branches", type=Path, help="folder of a model whose branches are gone on with (new ones)")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the published pair's ONNX files")
    parser.add_argument("--output", type=Path, required=True, help="folder for the finished model")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (%(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    if json.loads((options.first / "config.json").read_text(encoding="utf-8")).get("branch_edges"):
        parser.error(f"{options.first} has branches already")
    recipe = read_recipe(options.config, Recipe)
    pair = PairSteps(options.weights, options.threads)
    begun = None if options.branches is None else branches_of(options.branches)
    teaching = Teaching(recipe, read_crops("train"), read_crops("dev"), teacher(pair), begun)
    export(joined(options.first, teaching.run(), recipe.earlier_less), GEOMETRY, options.output)


if __name__ == "__main__":
    main()

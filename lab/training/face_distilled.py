"""Trains a small DINOv2 behind convolutions, from random weights, by two teachers: simulators and a published pair.

`python -m lab.training.face_distilled --output FOLDER` reads the crops that `python -m lab.training.data.face_crops`
wrote and one YAML file, resumes from its last checkpoint, logs the dev error and writes a folder that the service
loads; `python -m lab.evaluate` measures it. The simulators label their attacks, and the pair has seen real ones.
"""

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lab.metrics import eer
from lab.training.data.face_crops import FACE_FACTOR, SIDE, Crops, read_crops
from lab.training.data.packages import atomic, data_dir
from lab.training.face_distilled_model import FaceTraining, Judged
from lab.training.face_export import export
from lab.training.recipe import read_recipe
from models.convolutional_dinov2 import Dinov2WithConvolutions

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
GEOMETRY = {"face_factor": FACE_FACTOR, "size": {"height": SIDE, "width": SIDE}, "do_center_crop": False}
"""Of a crop, as the processor's file states it."""
_SURE = 6.0
"""Log odds beyond which the pair is not followed."""
_SETTLED = 20
"""Steps after which the running mean is of half of them."""
_LOG_ODDS = 0.05
"""What the difference of log odds weighs beside that of probabilities."""


@dataclass(frozen=True)
class Recipe:
    """The YAML file; its comments explain each value."""

    seed: int
    hidden_size: int
    layers: int
    heads: int
    stem_pooling: int
    stem_channels: list[int]
    stem_blocks: list[int]
    stem_expansion: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_share: float
    epochs: float
    eval_steps: int
    averaging: float
    labels: float
    seen: float
    pair_share: float
    label_share: float


@dataclass(frozen=True)
class Taught:
    """What is to be learned of n crops.

    Attributes:
        spoof: 1, 0, or -1 where there is no label; float32 (n,).
        fake: the pair's log odds, float32 (n,).
        seen: what the pair's last layers see, standardised, float32 (n, width).
    """

    spoof: Tensor
    fake: Tensor
    seen: Tensor

    @classmethod
    def of(cls, crops: Crops) -> "Taught":
        """All that crops are to teach."""
        seen = torch.from_numpy(crops.seen.astype(np.float32))
        standard = (seen - seen.mean(0)) / (seen.std(0) + 1e-3)
        return cls(torch.from_numpy(crops.spoof.astype(np.float32)), torch.from_numpy(crops.fake), standard)

    def __getitem__(self, places: NDArray[np.int64]) -> "Taught":
        chosen = torch.from_numpy(places)
        return Taught(self.spoof[chosen], self.fake[chosen], self.seen[chosen])


def loss(judged: Judged, taught: Taught, recipe: Recipe) -> Tensor:
    """How far both judges and the view are from what is to be learned, a scalar."""
    pair = functional.binary_cross_entropy_with_logits(judged.pair, torch.sigmoid(taught.fake))
    pair = pair + _LOG_ODDS * functional.smooth_l1_loss(judged.pair, taught.fake.clamp(-_SURE, _SURE))
    seen = functional.smooth_l1_loss(judged.seen, taught.seen)
    labelled = taught.spoof >= 0
    label = functional.binary_cross_entropy_with_logits(judged.label[labelled], taught.spoof[labelled], reduction="sum")
    return pair + recipe.seen * seen + recipe.labels * label / labelled.sum().clamp(min=1)


class Training:
    """A training that can be stopped and gone on with.

    Args:
        recipe: how.
        crops: of the training split.
        dev: of the dev split.
        work: folder for its checkpoint.
    """

    def __init__(self, recipe: Recipe, crops: Crops, dev: Crops, work: Path) -> None:
        torch.manual_seed(recipe.seed)
        self._recipe, self._crops, self._dev, self._work = recipe, crops, dev, work
        self._taught = Taught.of(crops)
        self.model = FaceTraining(asdict(recipe))
        self.mean = torch.optim.swa_utils.AveragedModel(self.model, avg_fn=self._average, use_buffers=True)
        decayed = [weight for weight in self.model.parameters() if weight.ndim > 1]
        others = [weight for weight in self.model.parameters() if weight.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        self.steps = round(recipe.epochs * len(crops.spoof) / recipe.batch_size)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)
        self.step = 0

    def run(self) -> None:
        """Trains to the end, from the last checkpoint on if there is one."""
        if (last := self._work / "checkpoint.pt").is_file():
            self._restore(torch.load(last, weights_only=True))
            log.info("from step %d on", self.step)
        began, first, losses = time.monotonic(), self.step, []
        self.model.train()
        while self.step < self.steps:
            losses.append(self._one_step())
            if self.step % self._recipe.eval_steps == 0 or self.step == self.steps:
                left = (time.monotonic() - began) / (self.step - first) * (self.steps - self.step)
                log.info(
                    "step %d of %d: loss %.4f, %s, %s left",
                    self.step, self.steps, float(np.mean(losses)), self.dev_errors(), timedelta(seconds=round(left)),
                )  # fmt: skip
                losses = []
                self._keep()

    def dev_errors(self) -> str:
        """EER of the mean's score over each simulator's dev crops, and how far it is from the pair, as text."""
        judged = self._judged(self._dev.pictures)
        score = self._recipe.pair_share * judged.pair + self._recipe.label_share * judged.label
        spoof = self._dev.spoof == 1
        errors = [
            f"{name} {100 * eer(score.numpy()[chosen], spoof[chosen]):.1f} %"
            for name in sorted(set(self._dev.simulator.tolist()))
            for chosen in [self._dev.simulator == name]
        ]
        apart = torch.sigmoid(judged.pair) - torch.sigmoid(torch.from_numpy(self._dev.fake))
        return f"dev EER {', '.join(errors)}, {float(apart.abs().mean()):.3f} from the pair's probabilities"

    def served(self) -> Dinov2WithConvolutions:
        """The mean of the weights as a model to be served."""
        made = cast(FaceTraining, self.mean.module)
        return made.merged(self._recipe.pair_share, self._recipe.label_share)

    def _one_step(self) -> float:
        places = np.sort(self._places())
        pictures = torch.from_numpy(self._crops.pictures[places])
        if self.step % 2:
            pictures = pictures.flip(2)
        found = loss(self.model(pictures), self._taught[places], self._recipe)
        self._optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        self.mean.update_parameters(self.model)
        self.step += 1
        return found.item()

    def _places(self) -> NDArray[np.int64]:
        """Of the next batch's crops. Each epoch has an order of its own, which a resumed training finds again."""
        in_epoch = len(self._crops.spoof) // self._recipe.batch_size
        epoch, batch = divmod(self.step, in_epoch)
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(len(self._crops.spoof))
        return order[batch * self._recipe.batch_size :][: self._recipe.batch_size]

    def _average(self, mean: Tensor, weight: Tensor, count: Tensor | int) -> Tensor:
        """The running mean with one more weight, of fewer of them at the start, when they change most."""
        share = min(self._recipe.averaging, int(count) / (int(count) + _SETTLED))
        return mean * share + weight * (1 - share) if mean.is_floating_point() else weight

    def _rate(self, step: int) -> float:
        """Share of the learning rate: a rise, then half a cosine to zero."""
        warmup = self._recipe.warmup_share * self.steps
        return float(min(1.0, (step + 1) / (warmup + 1)) * (1 + np.cos(np.pi * min(1.0, step / self.steps))) / 2)

    def _judged(self, pictures: NDArray[np.uint8]) -> Judged:
        self.mean.train(False)
        with torch.inference_mode():
            parts = [
                self.mean(torch.from_numpy(np.array(pictures[at : at + 64]))) for at in range(0, len(pictures), 64)
            ]
        return Judged(*(torch.cat(values) for values in zip(*parts, strict=True)))

    def _keep(self) -> None:
        state = {name: part.state_dict() for name, part in self._parts().items()}
        with atomic(self._work / "checkpoint.pt") as temporary:
            torch.save({**state, "step": self.step}, temporary)

    def _restore(self, state: dict[str, dict[str, object]]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step = int(state["step"])  # type: ignore[call-overload]

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler]:
        return {"model": self.model, "mean": self.mean, "optimizer": self._optimizer, "schedule": self._schedule}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.face_distilled", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--config", type=Path, default=HERE / "face-distilled.yaml", help="the recipe (%(default)s)")
    parser.add_argument("--work", type=Path, help="folder for the checkpoint (default: in the data folder)")
    parser.add_argument("--output", type=Path, required=True, help="folder for the finished model")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (%(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    recipe = read_recipe(options.config, Recipe)
    training = Training(
        recipe,
        read_crops("train"),
        read_crops("dev"),
        options.work or data_dir() / f"{options.config.stem}-checkpoints",
    )
    training.run()
    export(training.served(), GEOMETRY, options.output)


if __name__ == "__main__":
    main()

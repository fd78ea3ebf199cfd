"""Trains a small DINOv2 behind convolutions, from random weights, by two teachers: simulators and a published pair.

`python -m lab.training.face_distilled --weights FOLDER --output FOLDER` reads the crops that
`python -m lab.training.data.face_crops` wrote and one YAML file, resumes from its last checkpoint, logs the dev error
and writes a folder that the service loads; `python -m lab.evaluate` measures it. The simulators label their attacks,
and the pair, which has seen real ones, is asked about each varied crop.
"""

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

from lab.metrics import eer
from lab.resumed import begun_before, digest_of
from lab.training.averaging import decaying, running_mean
from lab.training.data.face_crops import Crops, read_crops
from lab.training.data.packages import data_dir
from lab.training.face_batches import drawn, order_of
from lab.training.face_distilled_model import FaceTraining, Judged
from lab.training.face_export import export
from lab.training.face_hints import Standard, targets
from lab.training.face_pair import PairOutput, PublishedPair
from lab.training.face_views import FACE_FACTOR, SIDE, Views, as_cut, for_pair
from lab.training.recipe import read_recipe
from models.atomic import atomic
from models.convolutional_dinov2 import Dinov2WithConvolutions

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
GEOMETRY = {"face_factor": FACE_FACTOR, "size": {"height": SIDE, "width": SIDE}, "do_center_crop": False}
"""Of a crop, as the processor's file states it."""
_SURE = 6.0
"""Log odds beyond which the pair is not followed."""
_LOG_ODDS = 0.05
"""What the difference of log odds weighs beside that of probabilities."""
_SAMPLED = 8
"""Batches over which what the pair sees is standardised."""
_AT_ONCE = 64
"""Dev crops that are judged at once."""


class Pair(Protocol):
    """As `face_pair.PublishedPair`."""

    def judge(self, near: Tensor, wide: Tensor) -> PairOutput:
        """See there."""


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
    blended: float
    eval_steps: int
    averaging: float
    labels: float
    seen: float
    hints: float
    pair_share: float
    label_share: float


class Batch(NamedTuple):
    """What the model is given, and what is to be learned of it.

    Attributes:
        pictures: uint8 (n, `SIDE`, `SIDE`, 3), RGB.
        near: see `Views`.
        spoof: 1, 0, or -1 where there is no label; float32 (n,).
        output: of the pair on the same pixels.
    """

    pictures: Tensor
    near: Tensor
    spoof: Tensor
    output: PairOutput


class Scales(NamedTuple):
    """By which what the pair sees is standardised: of its last layers, and of each of its maps."""

    seen: Standard
    maps: list[Standard]

    @classmethod
    def of(cls, outputs: Sequence[PairOutput]) -> "Scales":
        """Those of these outputs together."""
        maps = zip(*(targets(each) for each in outputs), strict=True)
        return cls(Standard.of([each.seen for each in outputs]), [Standard.of(each) for each in maps])


def batch_of(crops: Crops, places: NDArray[np.int64], pair: Pair, recipe: Recipe, rng: np.random.Generator) -> Batch:
    """Faces as `face_batches.drawn` draws them; the pair is asked about the very pixels."""
    faces = drawn(crops, places, recipe.blended, rng)
    output = pair.judge(*for_pair(Views(faces.pictures, faces.near)))
    pictures = torch.round(faces.pictures * 255).permute(0, 2, 3, 1).to(torch.uint8)
    return Batch(pictures, faces.near, faces.spoof, output)


def loss(judged: Judged, hints: Sequence[Tensor], batch: Batch, scales: Scales, recipe: Recipe) -> Tensor:
    """How far both judges and all views are from what is to be learned, a scalar."""
    fake = batch.output.fake
    found = functional.binary_cross_entropy_with_logits(judged.pair, torch.sigmoid(fake))
    found = found + _LOG_ODDS * functional.smooth_l1_loss(judged.pair, fake.clamp(-_SURE, _SURE))
    found = found + recipe.seen * functional.smooth_l1_loss(judged.seen, scales.seen(batch.output.seen))
    for hint, target, standard in zip(hints, targets(batch.output), scales.maps, strict=True):
        found = found + recipe.hints * functional.smooth_l1_loss(hint, standard(target))
    labelled = batch.spoof >= 0
    label = functional.binary_cross_entropy_with_logits(judged.label[labelled], batch.spoof[labelled], reduction="sum")
    return found + recipe.labels * label / labelled.sum().clamp(min=1)


class Training:
    """A training that can be stopped and gone on with.

    Args:
        recipe: how.
        crops: of the training split.
        dev: of the dev split.
        pair: the second teacher.
        work: folder for its checkpoint.
    """

    def __init__(self, recipe: Recipe, crops: Crops, dev: Crops, pair: Pair, work: Path) -> None:
        torch.manual_seed(recipe.seed)
        self._recipe, self._crops, self._dev, self._pair, self._work = recipe, crops, dev, pair, work
        self._scales = Scales.of([self._batch(step).output for step in range(_SAMPLED)])
        self._dev_fake = torch.cat([output.fake for output in self._outputs_on_dev()])
        self.model = FaceTraining(asdict(recipe))
        self.mean = running_mean(self.model, recipe.averaging)
        self._optimizer = torch.optim.AdamW(decaying(self.model, recipe.weight_decay), lr=recipe.learning_rate)
        self.steps = round(recipe.epochs * len(crops.spoof) / recipe.batch_size)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)
        self.step = 0

    def run(self) -> None:
        """Trains to the end, from the last checkpoint on if there is one.

        Raises:
            ValueError: the checkpoint is of another recipe, or of other crops.
        """
        begun_before(self._work, {"recipe": asdict(self._recipe), "crops": self._crops_digest()})
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
        """EER of the mean's score over each simulator's dev crops, and how closely it follows the pair, as text."""
        pair, label = self._judged_dev()
        score = (self._recipe.pair_share * pair + self._recipe.label_share * label).numpy()
        spoof = self._dev.spoof == 1
        errors = [
            f"{name} {100 * eer(score[chosen], spoof[chosen]):.1f} %"
            for name in sorted(set(self._dev.simulator.tolist()))
            for chosen in [self._dev.simulator == name]
        ]
        apart = torch.sigmoid(pair) - torch.sigmoid(self._dev_fake)
        ranks = [
            f"{name} {stats.spearmanr(score[chosen], self._dev_fake.numpy()[chosen]).statistic:.2f}"
            for name, chosen in (("all", spoof | True), ("attacks", spoof), ("live", ~spoof))
        ]
        return (
            f"dev EER {', '.join(errors)}; {float(apart.abs().mean()):.3f} from the pair's probabilities, "
            f"rank correlation of the score with them: {', '.join(ranks)}"
        )

    def served(self) -> Dinov2WithConvolutions:
        """The mean of the weights as a model to be served."""
        made = cast(FaceTraining, self.mean.module)
        return made.merged(self._recipe.pair_share, self._recipe.label_share)

    def _one_step(self) -> float:
        batch = self._batch(self.step)
        judged = self.model(batch.pictures)
        hints = self.model.hints(judged.maps, batch.near)
        found = loss(judged, hints, batch, self._scales, self._recipe)
        self._optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        self.mean.update_parameters(self.model)
        self.step += 1
        return found.item()

    def _batch(self, step: int) -> Batch:
        places, rng = order_of(self._recipe.seed, step, len(self._crops.spoof), self._recipe.batch_size)
        return batch_of(self._crops, places, self._pair, self._recipe, rng)

    def _rate(self, step: int) -> float:
        """Share of the learning rate: a rise, then half a cosine to zero."""
        warmup = self._recipe.warmup_share * self.steps
        return float(min(1.0, (step + 1) / (warmup + 1)) * (1 + np.cos(np.pi * min(1.0, step / self.steps))) / 2)

    def _judged_dev(self) -> tuple[Tensor, Tensor]:
        """Both log odds of the mean for each dev crop."""
        self.mean.train(False)
        pictures = self._dev.pictures
        with torch.inference_mode():
            parts = [
                self.mean(torch.from_numpy(np.array(pictures[at : at + _AT_ONCE])))
                for at in range(0, len(pictures), _AT_ONCE)
            ]
        return torch.cat([part.pair for part in parts]), torch.cat([part.label for part in parts])

    def _outputs_on_dev(self) -> Iterator[PairOutput]:
        for at in range(0, len(self._dev.spoof), _AT_ONCE):
            views = as_cut(self._dev.pictures[at : at + _AT_ONCE], self._dev.boxes[at : at + _AT_ONCE])
            yield self._pair.judge(*for_pair(views))

    def _keep(self) -> None:
        state = {name: part.state_dict() for name, part in self._parts().items()}
        with atomic(self._work / "checkpoint.pt") as temporary:
            torch.save({**state, "step": self.step}, temporary)

    def _crops_digest(self) -> str:
        """Of what tells crops apart; of the pictures some, since all take too long."""
        told = (
            each
            for crops in (self._crops, self._dev)
            for each in (crops.boxes, crops.spoof, crops.attack, crops.pictures[:: max(1, len(crops.pictures) // 64)])
        )
        return digest_of(*(np.ascontiguousarray(each).tobytes() for each in told))

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
    parser.add_argument("--weights", type=Path, required=True, help="folder of the published pair's ONNX files")
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
        PublishedPair(options.weights, options.threads),
        options.work or data_dir() / f"{options.config.stem}-checkpoints",
    )
    training.run()
    export(training.served(), GEOMETRY, options.output)


if __name__ == "__main__":
    main()

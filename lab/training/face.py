"""Trains the face model that was bundled first: live or presentation attack, a small DINOv2 from random weights.

`python -m lab.training.face` reads the manifest that `python -m lab.training.data.face` wrote and
one YAML file, resumes from its last checkpoint, logs the dev error and writes a folder that
the service loads; `python -m lab.evaluate` measures it. With `--start` a finished model is trained further.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    Dinov2ForImageClassification,
    EvalPrediction,
    TrainingArguments,
    set_seed,
)

from lab.metrics import eer
from lab.training import loop
from lab.training.averaging import AveragingTrainer
from lab.training.data.face import Simulator
from lab.training.data.face import folder as photo_folder
from lab.training.data.manifest import NO_ATTACK, Item, read
from lab.training.data.packages import data_dir
from lab.training.face_export import export
from lab.training.face_model import build, leave_out_patches
from lab.training.face_photos import Photos, Shape, preprocess, read_rgb
from lab.training.recipe import read_recipe

log = logging.getLogger(__name__)

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """The YAML file; its comments explain each value."""

    seed: int
    hidden_size: int
    layers: int
    heads: int
    patch_size: int
    short_edge: int
    crop: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_share: float
    drop_patches: float
    turned: float
    epochs: float
    eval_steps: int
    averaging: float
    simulators: dict[Simulator, float]

    @property
    def shape(self) -> Shape:
        """The processor's parameters."""
        return Shape(self.short_edge, self.crop)


def train(recipe: Recipe, items: list[Item], work: Path, output: Path, workers: int, start: Path | None = None) -> None:
    """Trains, keeps the checkpoint that is best on the dev split and writes it as a folder to be served.

    Args:
        recipe: How.
        items: The manifest; its test rows are not touched.
        work: Folder for checkpoints; when it holds some, training resumes from the last.
        output: Folder to write.
        workers: Processes that decode photos; 0 decodes in this one.
        start: Folder of the model to begin with, of the recipe's shape; none: random weights.
    """
    set_seed(recipe.seed)
    learn = [item for item in items if item.split == "train"]
    dev = [item for item in items if item.split == "dev"]
    log.info("%d training photos, %d dev photos", len(learn), len(dev))
    model = _begun(recipe, learn, start)
    leave_out_patches(model, recipe.drop_patches)
    if last := loop.last_checkpoint(work):
        loop.restore(model, last)
    trainer = AveragingTrainer(
        recipe.averaging,
        model=model,
        args=_arguments(recipe, work, workers),
        train_dataset=Photos(learn, recipe.shape, vary=True, turned=recipe.turned),
        eval_dataset=Photos(dev, recipe.shape, vary=False),
        compute_metrics=lambda prediction: _dev_error(prediction, dev),
    )
    export(Dinov2ForImageClassification.from_pretrained(loop.run(trainer, last)), recipe.shape.processor, output)


def thinned(items: list[Item], share: float) -> list[Item]:
    """All of dev and test, and that share of the training rows, evenly over their order."""
    learn = [item for item in items if item.split == "train"]
    places = np.linspace(0, len(learn), round(share * len(learn)), endpoint=False).astype(int)
    return [item for item in items if item.split != "train"] + [learn[place] for place in places]


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m lab.training.face", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=HERE / "face.yaml", help="the recipe (%(default)s)")
    parser.add_argument(
        "--data", type=Path, action="append", help="manifest; several are joined (default: what the recipe names)"
    )
    parser.add_argument("--start", type=Path, help="folder of a model to train further (default: random weights)")
    parser.add_argument("--work", type=Path, help="folder for checkpoints (default: in the data folder)")
    parser.add_argument("--output", type=Path, required=True, help="folder for the finished model")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode photos (%(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    recipe = read_recipe(options.config, Recipe)
    if options.data:
        items = [item for path in options.data for item in read(path)]
    else:
        items = [
            item
            for simulator, share in recipe.simulators.items()
            for item in thinned(read(photo_folder(simulator) / "manifest.jsonl"), share)
        ]
    work = options.work or data_dir() / f"{options.config.stem}-checkpoints"
    train(recipe, items, work, options.output, options.workers, options.start)


def _arguments(recipe: Recipe, work: Path, workers: int) -> TrainingArguments:
    return loop.settings(
        work,
        seed=recipe.seed,
        eval_steps=recipe.eval_steps,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warmup_steps=recipe.warmup_share,
        num_train_epochs=recipe.epochs,
        logging_steps=recipe.eval_steps,
        dataloader_num_workers=workers,
    )


def _begun(recipe: Recipe, learn: list[Item], start: Path | None) -> Dinov2ForImageClassification:
    if start is not None:
        return Dinov2ForImageClassification.from_pretrained(start)
    return build(
        recipe.hidden_size,
        recipe.layers,
        recipe.heads,
        recipe.patch_size,
        recipe.crop,
        _some_photos(learn, recipe),
    )


def _some_photos(items: list[Item], recipe: Recipe) -> NDArray[np.uint8]:
    chosen = items[:: max(1, len(items) // 300)]
    return np.stack([preprocess(read_rgb(item.path), recipe.shape) for item in chosen])


def _dev_error(prediction: EvalPrediction, items: list[Item]) -> dict[str, float]:
    logits = np.asarray(prediction.predictions, np.float64)
    scores = logits[:, 1] - logits[:, 0]
    attacks = np.array([item.attack for item in items])
    spoof = attacks != NO_ATTACK
    result = {"eer": eer(scores, spoof)}
    for kind in sorted(set(attacks[spoof])):
        chosen = ~spoof | (attacks == kind)
        result[f"eer_{kind}"] = eer(scores[chosen], spoof[chosen])
    return result


if __name__ == "__main__":
    main()

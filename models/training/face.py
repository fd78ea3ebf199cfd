"""Trains the bundled face model: live or presentation attack, a small DINOv2 from random weights.

`python -m models.training.face` reads the manifest that `python -m models.training.data.face` wrote and
one YAML file, goes on from its last checkpoint, logs the dev error as it goes and writes a folder that
the service loads. `--test` measures a finished folder on the test split instead.
"""

import argparse
import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from transformers import (
    Dinov2ForImageClassification,
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from models.training.data.face import folder as photo_folder
from models.training.data.face_attacks import UNSEEN
from models.training.data.manifest import NO_ATTACK, Item, read
from models.training.data.packages import data_dir
from models.training.face_metrics import eer, rates, report
from models.training.face_model import build, leave_out_patches
from models.training.face_photos import MEAN, STD, Photos, Shape, preprocess, read_rgb

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
BUNDLED = HERE.parent / "bundled" / "face"


@dataclass(frozen=True)
class Recipe:
    """The YAML file; what each value means is said there."""

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

    @property
    def shape(self) -> Shape:
        """What the processor does."""
        return Shape(self.short_edge, self.crop)


def read_recipe(path: Path) -> Recipe:
    """Reads a configuration file.

    Raises:
        ValueError: A value is missing or unknown; the message names it.
    """
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {field.name for field in fields(Recipe)}
    if wrong := names ^ set(values):
        raise ValueError(f"{path}: missing or unknown: {', '.join(sorted(wrong))}")
    return Recipe(**values)


def train(recipe: Recipe, items: list[Item], work: Path, output: Path, workers: int) -> None:
    """Trains, keeps the checkpoint that is best on the dev split and writes it as a folder to be served.

    Args:
        recipe: How.
        items: The manifest; its test rows are not touched.
        work: Folder for checkpoints; when it holds some, training goes on from the last.
        output: Folder to write.
        workers: Processes that decode photos; 0 decodes in this one.
    """
    set_seed(recipe.seed)
    learn = [item for item in items if item.split == "train"]
    dev = [item for item in items if item.split == "dev"]
    log.info("%d training photos, %d dev photos", len(learn), len(dev))
    model = build(
        recipe.hidden_size,
        recipe.layers,
        recipe.heads,
        recipe.patch_size,
        recipe.crop,
        _some_photos(learn, recipe),
    )
    leave_out_patches(model, recipe.drop_patches)
    last = get_last_checkpoint(str(work)) if work.is_dir() else None  # type: ignore[no-untyped-call]
    if last is not None:
        # Trainer reads checkpoints without renaming keys as from_pretrained does, and so would leave
        # the attention weights as they are: they must be right before it starts.
        model.load_state_dict(Dinov2ForImageClassification.from_pretrained(last).state_dict())
    trainer = Trainer(
        model=model,
        args=_arguments(recipe, work, workers),
        train_dataset=Photos(learn, recipe.shape, vary=True, turned=recipe.turned),
        eval_dataset=Photos(dev, recipe.shape, vary=False),
        compute_metrics=lambda prediction: _dev_error(prediction, dev),
        callbacks=[_Progress()],
    )
    trainer.train(resume_from_checkpoint=last)
    best = trainer.state.best_model_checkpoint
    if best is None:
        raise RuntimeError("no checkpoint was measured: eval_steps is larger than the number of steps")
    log.info("best dev EER %.3f in %s", trainer.state.best_metric, best)
    export(Dinov2ForImageClassification.from_pretrained(best), recipe.shape, output)


def export(model: Dinov2ForImageClassification, shape: Shape, output: Path) -> None:
    """Writes weights, configuration and processor file as the DINOv2 family has them."""
    output.mkdir(parents=True, exist_ok=True)
    model.train(False)
    model.save_pretrained(output)
    processor = {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": shape.short_edge},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": shape.crop, "width": shape.crop},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
        "do_convert_rgb": True,
    }
    (output / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")


def score(model: Dinov2ForImageClassification, items: list[Item], shape: Shape) -> NDArray[np.float64]:
    """P(spoof) of each photo, float64 (n,), with the processing of the service."""
    model.train(False)
    scores = []
    with torch.inference_mode():
        for batch in DataLoader(Photos(items, shape, vary=False), batch_size=64):
            logits = model(pixel_values=batch["pixel_values"]).logits
            scores.append(torch.softmax(logits, dim=1)[:, 1].double().numpy())
    return np.concatenate(scores)


def measure(reference: Path, items: list[Item]) -> dict[str, Any]:
    """Dev and test figures of a finished folder; the threshold is the dev split's equal error point."""
    model = Dinov2ForImageClassification.from_pretrained(reference)
    processor = json.loads((reference / "preprocessor_config.json").read_text())
    shape = Shape(processor["size"]["shortest_edge"], processor["crop_size"]["height"])
    dev = [item for item in items if item.split == "dev"]
    test = [item for item in items if item.split == "test"]
    dev_scores = score(model, dev, shape)
    live = np.array([item.attack == NO_ATTACK for item in dev])
    _, threshold = eer(dev_scores[live], dev_scores[~live])
    figures: dict[str, Any] = {"dev": _report(dev, dev_scores, threshold)}
    test_scores = score(model, test, shape)
    figures["test"] = _report(test, test_scores, threshold)
    known = np.array([item.attack not in UNSEEN for item in test])
    seen_kinds = [item for item, keep in zip(test, known, strict=True) if keep]
    figures["test_without_unseen_kinds"] = _report(seen_kinds, test_scores[known], threshold)
    figures["test_at_0.5"] = rates(test_scores, [item.attack for item in test], 0.5)
    return figures


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m models.training.face", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=HERE / "face.yaml", help="the recipe (%(default)s)")
    parser.add_argument("--data", type=Path, help="manifest (default: where models.training.data.face writes)")
    parser.add_argument("--work", type=Path, help="folder for checkpoints (default: in the data folder)")
    parser.add_argument("--output", type=Path, default=BUNDLED, help="folder for the finished model (%(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode photos (%(default)s)")
    parser.add_argument("--test", type=Path, metavar="JSON", help="measure --output on dev and test and write this")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    items = read(options.data or photo_folder() / "manifest.jsonl")
    if options.test:
        figures = measure(options.output, items)
        options.test.write_text(json.dumps(figures, indent=2) + "\n")
        log.info("%s", json.dumps(figures["test"]))
        return
    work = options.work or data_dir() / "face-checkpoints"
    train(read_recipe(options.config), items, work, options.output, options.workers)


class _Progress(TrainerCallback):
    """Logs loss and dev error with the share of the work that is done."""

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        metrics = kwargs["metrics"]
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        log.info(
            "step %d of %d, loss %.3f, %s",
            state.global_step,
            state.max_steps,
            losses[-1] if losses else float("nan"),
            ", ".join(f"{key} {value:.3f}" for key, value in metrics.items() if "eer" in key),
        )


def _arguments(recipe: Recipe, work: Path, workers: int) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(work),
        seed=recipe.seed,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warmup_steps=recipe.warmup_share,
        lr_scheduler_type="cosine",
        num_train_epochs=recipe.epochs,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=recipe.eval_steps,
        save_steps=recipe.eval_steps,
        logging_steps=recipe.eval_steps,
        save_total_limit=2,
        metric_for_best_model="eer",
        greater_is_better=False,
        dataloader_num_workers=workers,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )


def _some_photos(items: list[Item], recipe: Recipe) -> NDArray[np.uint8]:
    chosen = items[:: max(1, len(items) // 300)]
    return np.stack([preprocess(read_rgb(item.path), recipe.shape) for item in chosen])


def _dev_error(prediction: EvalPrediction, items: list[Item]) -> dict[str, float]:
    logits = np.asarray(prediction.predictions, np.float64)
    scores = logits[:, 1] - logits[:, 0]
    attacks = np.array([item.attack for item in items])
    live = attacks == NO_ATTACK
    result = {"eer": eer(scores[live], scores[~live])[0]}
    for kind in sorted(set(attacks[~live])):
        result[f"eer_{kind}"] = eer(scores[live], scores[attacks == kind])[0]
    return result


def _report(items: list[Item], scores: NDArray[np.float64], threshold: float) -> dict[str, Any]:
    return report(scores, [item.attack for item in items], [item.subject for item in items], threshold)


if __name__ == "__main__":
    main()

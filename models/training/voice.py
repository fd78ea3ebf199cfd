"""Trains the bundled voice model from one settings file.

    python -m models.training.data.voice        # once: fetch and build the data
    python -m models.training.voice             # train; run again to go on where it stopped

Reads the manifest, writes checkpoints and, at the end, the weights with the best dev error as a plain
transformers folder.
"""

import argparse
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch.utils.data import Dataset, Sampler, WeightedRandomSampler
from transformers import (
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    WavLMForSequenceClassification,
)
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint

from models.training import voice_model
from models.training.data import manifest
from models.training.data.manifest import Item
from models.training.data.packages import data_dir
from models.training.voice_metrics import eer, family_weights
from models.training.voice_windows import SPOOF_CLASS, Windows, sampling_weights

log = logging.getLogger(__name__)

SETTINGS = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Schedule:
    """The `training` part of the settings file; numbers as transformers' `TrainingArguments` means them.

    Attributes:
        steps: Optimizer steps in all.
        batch_size: Windows per step.
        learning_rate: Peak; it falls along a cosine to zero.
        warmup_steps: Steps until the peak.
        weight_decay: Of AdamW.
        label_smoothing: 0..1.
        eval_steps: Steps between two looks at the dev split, each with a checkpoint.
        loader_workers: Processes that read and record windows.
        init_from: Folder of a model to start from, or None for fresh weights.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    label_smoothing: float
    eval_steps: int
    loader_workers: int
    init_from: str | None = None


class VoiceTrainer(Trainer):
    """A Trainer that draws classes, families and speakers evenly."""

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        items = self.train_dataset.items
        generator = torch.Generator().manual_seed(self.args.seed)
        return WeightedRandomSampler(sampling_weights(items), len(items), generator=generator)


class Progress(TrainerCallback):
    """Logs step, loss and dev error as they come."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Called by the Trainer; picks what is worth a line."""
        logs = logs or {}
        if "eval_eer" in logs:
            log.info("step %d of %d: dev EER %.1f %%", state.global_step, state.max_steps, 100 * logs["eval_eer"])
        elif "loss" in logs:
            log.info("step %d of %d: loss %.4f", state.global_step, state.max_steps, float(logs["loss"]))


def train(settings: dict[str, Any], data: Path, out: Path) -> Path:
    """Trains, or goes on with a training that was stopped.

    Args:
        settings: The settings file as a mapping.
        data: The manifest.
        out: Folder for checkpoints; the finished model lies in `out/model`.

    Returns:
        The folder of the finished model.
    """
    schedule = Schedule(**settings["training"])
    items = manifest.read(data)
    training = [item for item in items if item.split == "train"]
    dev = [item for item in items if item.split == "dev"]
    trainer = VoiceTrainer(
        model=_start(settings, schedule),
        args=_arguments(schedule, settings["seed"], out),
        train_dataset=Windows(training, vary=True),
        eval_dataset=Windows(dev, vary=False),
        compute_metrics=_dev_metrics(dev),
        callbacks=[Progress()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)) if out.is_dir() else None)
    folder = out / "model"
    voice_model.save(trainer.model, folder)
    best = {"dev_eer": trainer.state.best_metric, "step": trainer.state.best_global_step, "settings": settings}
    (out / "result.json").write_text(json.dumps(best, indent=2) + "\n")
    log.info("best dev EER %.1f %% at step %s: %s", 100 * best["dev_eer"], best["step"], folder)
    return folder


def _start(settings: dict[str, Any], schedule: Schedule) -> WavLMForSequenceClassification:
    if schedule.init_from is None:
        return voice_model.build(settings["model"], settings["seed"])
    torch.manual_seed(settings["seed"])
    return WavLMForSequenceClassification.from_pretrained(
        schedule.init_from, config=voice_model.config(settings["model"])
    )


def _arguments(schedule: Schedule, seed: int, out: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out),
        max_steps=schedule.steps,
        per_device_train_batch_size=schedule.batch_size,
        per_device_eval_batch_size=32,
        learning_rate=schedule.learning_rate,
        warmup_steps=schedule.warmup_steps,
        weight_decay=schedule.weight_decay,
        label_smoothing_factor=schedule.label_smoothing,
        lr_scheduler_type="cosine",
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=schedule.eval_steps,
        save_steps=schedule.eval_steps,
        save_total_limit=2,
        logging_steps=50,
        load_best_model_at_end=True,
        metric_for_best_model="eer",
        greater_is_better=False,
        dataloader_num_workers=schedule.loader_workers,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        seed=seed,
    )


def _dev_metrics(dev: list[Item]) -> Any:
    weights = family_weights([item.attack for item in dev])

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        logits = np.asarray(prediction.predictions)
        truth = np.asarray(prediction.label_ids) == SPOOF_CLASS
        return {"eer": eer(logits[:, 1] - logits[:, 0], truth, weights)}

    return metrics


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.voice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = data_dir() / "voice"
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="settings file (%(default)s)")
    parser.add_argument("--data", type=Path, default=default / "manifest.jsonl", help="manifest (%(default)s)")
    parser.add_argument("--out", type=Path, default=default / "run", help="checkpoints, model (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads for the model (%(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    train(yaml.safe_load(arguments.settings.read_text()), arguments.data, arguments.out)


if __name__ == "__main__":
    main()

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
from torch.utils.data import DataLoader
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

from models.training import voice_front, voice_head, voice_model, voice_teacher
from models.training.data import manifest
from models.training.data.manifest import Item
from models.training.data.packages import data_dir
from models.training.data.voice_audio import RATE, load
from models.training.voice_metrics import eer, family_weights
from models.training.voice_windows import SPOOF_CLASS, Pairs, Windows, normalise, vary

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
        dev_windows: How many dev windows, evenly taken, each of these looks judges.
        crop_seconds: Length of the training windows; shorter ones cost less and are as good.
        frozen_layers: Encoder layers that keep the teacher's weights; its front always does.
        head_batches: Batches for the regression that sets the head before the first step.
        head_ridge: Its ridge.
        head_factor: The head learns this many times faster than what came from the teacher.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    label_smoothing: float
    eval_steps: int
    loader_workers: int
    dev_windows: int
    crop_seconds: float
    frozen_layers: int
    head_batches: int
    head_ridge: float
    head_factor: float


class VoiceTrainer(Trainer):
    """A Trainer whose batches are `Pairs`."""

    schedule: Schedule
    windows: Windows
    judge: WavLMForSequenceClassification

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches for all steps; their order depends on the seed alone, so a resumed run skips what it saw."""
        plan = self.schedule
        pairs = Pairs(self.windows.items, plan.batch_size, plan.steps, self.args.seed)
        return DataLoader(self.windows, batch_sampler=pairs, num_workers=plan.loader_workers)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a faster head."""
        plan = self.schedule
        head = [*self.judge.projector.parameters(), *self.judge.classifier.parameters()]
        chosen = {id(weight) for weight in head}
        body = [w for w in self.judge.parameters() if w.requires_grad and id(w) not in chosen]
        groups = [
            {"params": body, "lr": plan.learning_rate},
            {"params": head, "lr": plan.learning_rate * plan.head_factor},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=plan.weight_decay)
        return self.optimizer


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
    dev = dev[:: max(1, len(dev) // schedule.dev_windows)]
    model = _start_or_go_on(settings, schedule, training, out)
    windows = _windows(training, schedule)
    trainer = VoiceTrainer(
        model=model,
        args=_arguments(schedule, settings["seed"], out),
        train_dataset=windows,
        eval_dataset=Windows(dev),
        compute_metrics=_dev_metrics(dev),
        callbacks=[Progress()],
    )
    trainer.schedule, trainer.windows, trainer.judge = schedule, windows, model
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_checkpoint(out))
    folder = out / "model"
    voice_model.save(model, folder)
    best = float(trainer.state.best_metric or 1.0)
    result = {"dev_eer": best, "step": trainer.state.best_global_step, "settings": settings}
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    log.info("best dev EER %.1f %% at step %s: %s", 100 * best, result["step"], folder)
    return folder


def _checkpoint(out: Path) -> str | None:
    found: str | None = get_last_checkpoint(str(out))  # type: ignore[no-untyped-call]
    return found


def _start_or_go_on(
    settings: dict[str, Any], plan: Schedule, items: list[Item], out: Path
) -> WavLMForSequenceClassification:
    """The start is kept beside the checkpoints: a resumed run needs its shape, not its weights."""
    folder = out / "start"
    if not (folder / "config.json").exists():
        voice_model.save(_start(settings, plan, items), folder)
    model: WavLMForSequenceClassification = WavLMForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    model.freeze_feature_encoder()  # type: ignore[no-untyped-call]
    still = [model.wavlm.feature_projection, model.wavlm.encoder.pos_conv_embed]
    for part in [*still, *model.wavlm.encoder.layers[: plan.frozen_layers]]:
        part.requires_grad_(False)
    model.train()
    return model


def _start(settings: dict[str, Any], plan: Schedule, items: list[Item]) -> WavLMForSequenceClassification:
    model = voice_model.build(settings["model"], settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    chosen = [items[index] for index in rng.permutation(len(items))[:48]]
    speech = np.stack([normalise(vary(load(item.path), rng)) for item in chosen])
    teacher = voice_teacher.encoder(model.config.num_hidden_layers)
    error = voice_front.install(model, teacher, torch.from_numpy(speech))
    log.info("log-mel features of the front: relative squared error %.3f", error)
    pairs = Pairs(items, plan.batch_size, plan.head_batches, settings["seed"] + 1)
    loader = DataLoader(_windows(items, plan), batch_sampler=pairs, num_workers=plan.loader_workers)
    count, loss = voice_head.fit(model, loader, plan.head_ridge)
    log.info("head set on %d windows, loss %.3f", count, loss)
    return model


def _windows(items: list[Item], plan: Schedule) -> Windows:
    return Windows(items, round(plan.crop_seconds * RATE))


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
        eval_on_start=True,
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

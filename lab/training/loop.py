"""Shared by all trainings around transformers' Trainer: settings, log lines, and complete restoring of weights."""

import json
import logging
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback

log = logging.getLogger(__name__)

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def settings(folder: Path, *, seed: int, eval_steps: int, **others: Any) -> TrainingArguments:
    """Evaluates on the dev split and saves a checkpoint periodically; keeps the last and the best by `eer`.

    Args:
        folder: for checkpoints.
        seed: of everything that is drawn.
        eval_steps: steps between two evaluations.
        others: what else `TrainingArguments` takes.
    """
    return TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        lr_scheduler_type="cosine",
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=eval_steps,
        save_steps=eval_steps,
        save_total_limit=2,
        metric_for_best_model="eer",
        greater_is_better=False,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        **others,
    )


def run(trainer: Trainer, last: Path | None) -> Path:
    """Trains, from a checkpoint on if there is one, and returns the checkpoint with the least dev error.

    Raises:
        RuntimeError: none was saved.
    """
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Progress())
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    best = trainer.state.best_model_checkpoint
    if best is None:
        raise RuntimeError("no checkpoint was measured: the dev split is looked at less often than there are steps")
    log.info("best dev EER %.1f %%, in %s", 100 * float(trainer.state.best_metric or 0.0), best)
    return Path(best)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a folder, which may not exist: a killed process leaves parts of one."""
    steps = {int(match[1]): path for path in folder.glob("checkpoint-*") if (match := _CHECKPOINT.fullmatch(path.name))}
    for _, path in sorted(steps.items(), reverse=True):
        if _is_whole(path):
            return path
        log.warning("%s is not whole, and is passed over", path)
    return None


def _is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint has the state of its training, which Trainer writes last."""
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def restore(model: PreTrainedModel, checkpoint: Path) -> None:
    """Gives a model the weights of a checkpoint, all of them.

    Trainer itself does not rename keys as `from_pretrained` does, and skips unknown ones: of a
    DINOv2, whose attention has other names on disk than in memory, it would not restore half. So a model has to be
    restored before its Trainer resumes, and instead of `load_best_model_at_end`.
    """
    saved = type(model).from_pretrained(checkpoint, dtype=model.dtype)
    model.load_state_dict(saved.state_dict())


class Progress(TrainerCallback):
    """Logs step, loss, dev error and the time that is left."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the Trainer."""
        self._began, self._first = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Called by the Trainer; selects the values to log."""
        logs = logs or {}
        errors = [
            f"{name.removeprefix('eval_')} {100 * rate:.1f} %" for name, rate in logs.items() if "eval_eer" in name
        ]
        if errors:
            self._log(state, f"dev {', '.join(errors)}")
        elif "loss" in logs:
            self._log(state, f"loss {float(logs['loss']):.4f}")

    def _log(self, state: TrainerState, what: str) -> None:
        done = state.global_step - self._first
        left = (time.monotonic() - self._began) / done * (state.max_steps - state.global_step) if done else 0.0
        ahead = f", {timedelta(seconds=round(left))} left" if left else ""
        log.info("step %d of %d: %s%s", state.global_step, state.max_steps, what, ahead)

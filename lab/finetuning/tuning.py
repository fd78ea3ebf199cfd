"""The training: a base and decoded data in, the model with the least dev error out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import EvalPrediction, PreTrainedModel, Trainer, set_seed

from lab.evaluation.trials import DataError
from lab.finetuning.base import Base
from lab.finetuning.decoded import Decoded
from lab.finetuning.examples import Batches, Collate, Examples
from lab.metrics import eer
from lab.training import loop
from models.devices import cuda_is_available
from models.errors import EngineUnavailable

Device = Literal["auto", "cpu", "cuda"]
LOWER_RATE = "remove the folder of the training, and begin again with a lower --learning-rate"


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        steps: optimizer steps in all.
        batch: windows or photos per step.
        learning_rate: peak, after a tenth of the steps; it falls along a cosine to zero.
        frozen: transformer layers that keep their weights, counted from the input, with all that is below them.
        varied: augment windows and photos anew on every use.
        looks: number of evaluations on the dev split, each with a checkpoint.
        seed: of the head, the draw and the variation.
        device: where to train; `auto` takes CUDA where it is.
    """

    steps: int
    batch: int
    learning_rate: float
    frozen: int
    varied: bool
    looks: int
    seed: int
    device: Device


@dataclass(frozen=True)
class Tuned:
    """The outcome.

    Attributes:
        model: with the weights of the best checkpoint, on the CPU.
        step: of that checkpoint.
        dev_eer: equal error rate over the dev windows or photos then, 0..1.
    """

    model: PreTrainedModel
    step: int
    dev_eer: float


def tune(base: Base, train: Decoded, dev: Decoded, plan: Plan, folder: Path) -> Tuned:
    """Trains, or resumes a training that was stopped.

    Args:
        base: the checkpoint to begin with.
        train: the training data.
        dev: the data that select the checkpoint.
        plan: how to train.
        folder: for checkpoints; when it holds some, training resumes from the last.

    Raises:
        EngineUnavailable: CUDA is requested and there is none.
        ModelError: the base's weights cannot be loaded.
        DataError: there are fewer layers than are to be frozen, or the training diverges.
    """
    on_cuda = _on_cuda(plan.device)
    set_seed(plan.seed)
    model = base.classifier()
    freeze(model, plan.frozen)
    last = loop.last_checkpoint(folder)
    if last:
        loop.restore(model, last)
    trainer = _Tuner(
        model=model,
        args=loop.settings(
            folder,
            seed=plan.seed,
            eval_steps=max(1, plan.steps // plan.looks),
            max_steps=plan.steps,
            learning_rate=plan.learning_rate,
            warmup_steps=plan.steps // 10,
            weight_decay=0.01,
            per_device_eval_batch_size=2 * plan.batch,
            logging_steps=max(1, plan.steps // (4 * plan.looks)),
            eval_on_start=base.keeps_classes,  # the error before training
            use_cpu=not on_cuda,
            bf16=on_cuda and torch.cuda.is_bf16_supported(including_emulation=False),
        ),
        train_dataset=Examples(train, base.spoof, varied=plan.varied),
        eval_dataset=Examples(dev, base.spoof),
        data_collator=Collate(base.prepare, model.main_input_name),
        compute_metrics=dev_error(base.spoof),
    )
    trainer.batches = Batches(train, plan.batch, plan.steps, plan.seed)
    best = loop.run(trainer, last)
    loop.restore(model, best)
    model.train(False)
    model.to("cpu")  # type: ignore[arg-type]
    return Tuned(model, int(trainer.state.best_global_step or 0), float(trainer.state.best_metric or 0.0))


def freeze(model: PreTrainedModel, layers: int) -> None:
    """Keeps the weights of the lowest layers and of all that is no layer; with 0 only a voice model's convolutions.

    Raises:
        DataError: the model has fewer layers.
    """
    freeze_convolutions: Callable[[], None] | None = getattr(model, "freeze_feature_encoder", None)
    if freeze_convolutions:
        freeze_convolutions()
    if not layers:
        return
    stack = layers_of(model)
    if layers > len(stack):
        raise DataError(f"--frozen {layers}, but the base has {len(stack)} layers")
    trained = {id(weight) for layer in stack[layers:] for weight in layer.parameters()}
    for weight in model.base_model.parameters():
        weight.requires_grad = weight.requires_grad and id(weight) in trained


def layers_of(model: PreTrainedModel) -> list[nn.Module]:
    """The transformer layers, from the input on."""
    count = getattr(model.config, "num_hidden_layers", None)
    stacks = [part for part in model.base_model.modules() if isinstance(part, nn.ModuleList) and len(part) == count]
    return list(stacks[-1]) if stacks else []


class _Tuner(Trainer):
    """A Trainer whose batches are `Batches`."""

    batches: Batches

    def get_train_dataloader(self) -> DataLoader[Any]:
        """All steps are one epoch."""
        assert self.train_dataset is not None  # noqa: S101
        return DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator)


def dev_error(spoof: int) -> Callable[[EvalPrediction], dict[str, float]]:
    """What measures predictions; it raises `DataError` where they are no numbers. `spoof` is that class's index."""

    def error(prediction: EvalPrediction) -> dict[str, float]:
        logits = np.asarray(prediction.predictions, np.float64)
        if not np.isfinite(logits).all():
            raise DataError(f"the training has diverged: the model computes no numbers any more; {LOWER_RATE}")
        truth = np.asarray(prediction.label_ids) == spoof
        return {"eer": eer(logits[:, spoof] - logits[:, 1 - spoof], truth)}

    return error


def _on_cuda(device: Device) -> bool:
    available = cuda_is_available()
    if device == "cuda" and not available:
        raise EngineUnavailable("--device cuda, but torch sees no CUDA device here; use auto or cpu")
    return available and device != "cpu"

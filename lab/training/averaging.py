"""A Trainer that measures and keeps the running mean of the weights in place of those of the last step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class AveragingTrainer(Trainer):
    """Trains as `Trainer`; evaluation and checkpoints take the mean of the weights over the last steps.

    Training that resumes from a checkpoint goes on from the mean.

    Args:
        share: of the mean that stays at each step, in 0..1; 0 is no mean.
        others: as of `Trainer`.
    """

    def __init__(self, share: float, **others: Any) -> None:
        super().__init__(**others)
        self._share = share
        self._mean: dict[str, torch.Tensor] = {}
        self.add_callback(_AfterStep(self))

    def follow(self) -> None:
        """Takes the present weights into the mean."""
        for name, weight in self._weights():
            if name not in self._mean:
                self._mean[name] = weight.detach().clone()
            else:
                self._mean[name].lerp_(weight.detach(), 1 - self._share)

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """As of `Trainer`, of the mean."""
        with self._averaged():
            return super().evaluate(*arguments, **named)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with self._averaged():
            super()._save_checkpoint(model, trial)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The model has the mean as its weights meanwhile."""
        own = {name: weight.detach().clone() for name, weight in self._weights() if name in self._mean}
        self._put(self._mean)
        try:
            yield
        finally:
            self._put(own)

    def _put(self, values: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self._weights():
                if name in values:
                    weight.copy_(values[name])

    def _weights(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        assert self.model is not None  # noqa: S101  # it was given one
        yield from self.model.named_parameters()


class _AfterStep(TrainerCallback):
    def __init__(self, trainer: AveragingTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the Trainer, before it evaluates."""
        self._trainer.follow()

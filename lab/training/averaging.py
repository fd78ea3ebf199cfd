"""What the trainings of the face model share: which weights decay, and the running mean that is measured and kept."""

from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_SETTLED = 20
"""Steps after which the running mean is of half of them."""


def running_mean(model: nn.Module, averaging: float) -> AveragedModel:
    """The mean of a model's weights, and of its buffers; of fewer steps at the start, when they change most.

    Args:
        model: whose weights `update_parameters` takes.
        averaging: share that stays of the mean in a step.
    """

    def average(mean: Tensor, weight: Tensor, count: Tensor | int) -> Tensor:
        share = min(averaging, int(count) / (int(count) + _SETTLED))
        return mean * share + weight * (1 - share) if mean.is_floating_point() else weight

    return AveragedModel(model, avg_fn=average, use_buffers=True)


def decaying(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """An optimizer's groups: weights decay, offsets and norms do not."""
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]

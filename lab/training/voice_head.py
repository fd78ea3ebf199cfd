"""Initialises the classification head of the model: a logistic regression on the statistics of a window.

Fine-tuning from there is quick; from a random head it needs its first hundreds of steps to learn the scale
of the features, which differ a thousandfold.
"""

from collections.abc import Iterable

import torch
from transformers import WavLMForSequenceClassification

from lab.training.voice_model import statistics
from lab.training.voice_windows import SPOOF_CLASS
from models.graph import use_fused_attention
from models.statistics_wavlm import WavLMForStatistics

Line = tuple[torch.Tensor, torch.Tensor]
"""Weights of the statistics as they are, float32 (width,), and an offset, float32 (): the logit of spoof."""


def fit(
    model: WavLMForStatistics,
    batches: Iterable[dict[str, torch.Tensor]],
    ridge: float,
    earlier: Line | None = None,
    share: float = 0.0,
) -> tuple[int, float]:
    """Standardises the statistics and sets the two linear layers behind them.

    Args:
        model: Changed in place.
        batches: Of `voice_features`.
        ridge: Weight of the squared weights in the loss.
        earlier: Of `own_score`, of the model whose layers these are.
        share: Of its score in the sum of both, 0..1.

    Returns:
        Number of windows used, and the loss on them.
    """
    model.train(False)
    use_fused_attention(model)
    features, labels = [], []
    with torch.inference_mode():
        for batch in batches:
            features.append(statistics(model, batch["features"].flatten(0, -3), batch["spectrum"].flatten(0, -3)))
            labels.append(batch["labels"].flatten())
    # Copies outside inference mode, so that the regression may differentiate.
    inputs, spoof = torch.cat(features).clone(), (torch.cat(labels) == SPOOF_CLASS).float()
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-3
    weight, bias, loss = regression((inputs - mean) / spread, spoof, ridge)
    with torch.no_grad():
        model.get_buffer("centre").copy_(mean)
        model.get_buffer("spread").copy_(spread)
        # The other rows say nothing until they learn.
        model.classifier.weight.zero_()
        if earlier is not None:
            own, offset = earlier
            weight = (1 - share) * weight + share * own * spread
            bias = (1 - share) * bias + share * (offset + own @ mean)
        write(model, weight, bias)
    model.train()
    return len(inputs), loss


@torch.no_grad()
def own_score(model: WavLMForSequenceClassification, width: int) -> Line:
    """What a model with an averaging head makes of the mean of its last layer, which is among the statistics.

    Args:
        model: Its layers are those of the statistics.
        width: How many statistics there are.
    """
    side = torch.zeros(2)
    side[SPOOF_CLASS], side[1 - SPOOF_CLASS] = 1.0, -1.0
    size = int(model.config.hidden_size)
    line = torch.zeros(width)
    line[2 * size : 3 * size] = side @ model.classifier.weight @ model.projector.weight
    return line, side @ (model.classifier.weight @ model.projector.bias + model.classifier.bias)


def write(model: WavLMForStatistics, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Writes a regression on the standardised statistics into the first rows of the head; the others stay.

    Args:
        model: Changed in place.
        weight: float32 (width,), of the logit of spoof.
        bias: float32 ().
    """
    side = torch.tensor([-0.5, 0.5]) if SPOOF_CLASS == 1 else torch.tensor([0.5, -0.5])
    size = weight.norm()
    with torch.no_grad():
        # gelu(x) - gelu(-x) is x: the regression passes the bend between the two layers unchanged.
        model.projector.weight[:2] = torch.stack([weight, -weight]) / size
        model.projector.bias.zero_()
        model.classifier.weight[:, :2] = torch.stack([side, -side], 1) * size
        model.classifier.bias.copy_(side * bias)


def regression(
    inputs: torch.Tensor, truth: torch.Tensor, ridge: float, counts: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """A logistic regression.

    Args:
        inputs: float32 (windows, width), standardised.
        truth: float32 (windows,), 1 for spoof.
        ridge: weight of the squared weights in the loss.
        counts: how much each window counts, float32 (windows,); without it all count the same.

    Returns:
        Weights, float32 (width,), the offset, float32 (), and the loss.
    """
    shares = None if counts is None else counts / counts.mean()
    weight = torch.zeros(inputs.shape[1], requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        fit = torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weight + bias, truth, shares)
        total = fit + ridge * weight.square().sum()
        torch.autograd.backward(total)
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach(), float(loss().detach())

"""Initialises the classification head of the model: a logistic regression on the mean output of its last layer.

Fine-tuning from there is quick; from a random head it needs its first hundreds of steps to learn the scale
of the features, which differ a thousandfold.
"""

from collections.abc import Iterable

import torch
from transformers import WavLMForSequenceClassification

from lab.training.voice_windows import SPOOF_CLASS


def fit(
    model: WavLMForSequenceClassification, batches: Iterable[dict[str, torch.Tensor]], ridge: float
) -> tuple[int, float]:
    """Standardises the averaged features in the last norm and sets the two linear layers behind it.

    Args:
        model: Changed in place; its last layer norm must be as initialised.
        batches: `{"features": float32 (..., frames, width), "labels": int64 (...)}` of `voice_features`.
        ridge: Weight of the squared weights in the loss.

    Returns:
        Number of windows used, and the loss on them.
    """
    model.train(False)
    features, labels = [], []
    # In bfloat16, as `voice_model.Layers` computes them.
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for batch in batches:
            states = model.wavlm.encoder(batch["features"].flatten(0, -3)).last_hidden_state
            features.append(states.float().mean(1))
            labels.append(batch["labels"].flatten())
    # Copies outside inference mode, so that the regression may differentiate.
    inputs, spoof = torch.cat(features).clone(), (torch.cat(labels) == SPOOF_CLASS).float()
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-4
    weight, bias, loss = _regression((inputs - mean) / spread, spoof, ridge)
    with torch.no_grad():
        norm = model.wavlm.encoder.layer_norm
        norm.weight.copy_(1 / spread)
        norm.bias.copy_(-mean / spread)
        size = weight.norm()
        model.projector.weight[0] = weight / size
        model.projector.weight[1:] *= 0.1
        model.projector.bias.zero_()
        model.classifier.weight *= 0.1
        side = torch.tensor([-0.5, 0.5]) if SPOOF_CLASS == 1 else torch.tensor([0.5, -0.5])
        model.classifier.weight[:, 0] = side * size
        model.classifier.bias.copy_(side * bias)
    model.train()
    return len(inputs), loss


def _regression(inputs: torch.Tensor, truth: torch.Tensor, ridge: float) -> tuple[torch.Tensor, torch.Tensor, float]:
    weight = torch.zeros(inputs.shape[1], requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        fit = torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weight + bias, truth)
        total = fit + ridge * weight.square().sum()
        torch.autograd.backward(total)
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach(), float(loss().detach())

"""Keeps a model from taking a call's codec for synthesis: what sounds like a call is judged that much milder.

A logistic regression on the statistics tells real speech behind a call from all that is as it was recorded. The more it
is sure, the more of what calls add to the score of real speech is taken off again. Within one kind of call the order of
scores stays nearly as it is, and so does all that is no call.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.training import voice_head
from lab.training.compiled import compiled
from lab.training.voice_windows import SPOOF_CLASS, normalise, spoof_logits
from models.graph import use_fused_attention
from models.statistics_wavlm import WavLMForStatistics
from models.statistics_wavlm import statistics as seen

log = logging.getLogger(__name__)

_SHARP = 8.0
"""gelu(s x) / s is as good as max(0, x) with this s: 0.02 off at most."""
_ROWS = slice(2, 4)
"""Of the head, behind those of the regression."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Offset:
    """What is taken off.

    Attributes:
        ridge: weight of the regression's squared weights in its loss.
        share: of what calls add to the logit of real speech, 0..1.
        ramp: the regression's logit from which on all of it is taken off; below minus this, nothing is.
    """

    ridge: float
    share: float
    ramp: float


def statistics(model: WavLMForStatistics, *windows: NDArray[np.int16]) -> Tensor:
    """What the head sees of windows, int16 (n, samples) each -> float32 (n, width) of all, one after another."""
    use_fused_attention(model)

    def found(samples: Tensor) -> Tensor:
        front, spectrum = model.front(samples)
        states = model.wavlm.encoder(front).last_hidden_state
        return seen(front, states, spectrum, float(model.config.silence_gate))

    run = compiled(found, model, windows[0].shape[1])
    return torch.from_numpy(run(normalise(np.asarray(each, np.float32)) for part in windows for each in part))


@torch.no_grad()
def install(model: WavLMForStatistics, before: Tensor, after: Tensor, real: Tensor, plan: Offset) -> float:
    """Writes the regression and what it takes off into free rows of the head.

    Args:
        model: changed in place; its head is of `voice_head.write`.
        before: statistics of windows, float32 (n, width).
        after: of the same windows behind a call.
        real: bool (n,), those of real speech.
        plan: how.

    Returns:
        What is taken off the logit of spoof of a call.
    """
    centre, spread = model.get_buffer("centre"), model.get_buffer("spread")
    # Calls of spoofs are no examples: what makes some of them spoofs, as codec2 and LPC, would be a sign of a call.
    inputs = (torch.cat([before, after[real]]) - centre) / spread
    is_call = torch.arange(len(inputs)) >= len(before)
    with torch.enable_grad():
        weight, bias, loss = voice_head.regression(inputs, is_call.float(), plan.ridge)
    added = float((spoof_logits(model.head(after[real])) - spoof_logits(model.head(before[real]))).mean())
    log.info("calls are told with a loss of %.3f and add %.2f to the logit of real speech", loss, added)
    model.projector.weight[_ROWS] = _SHARP * weight
    model.projector.bias[_ROWS] = _SHARP * torch.tensor([bias + plan.ramp, bias - plan.ramp])
    off = plan.share * added
    # The logit of spoof is the difference of two: half of it each.
    slopes = torch.tensor([-off, off]) / (2 * plan.ramp * _SHARP) / 2
    model.classifier.weight[SPOOF_CLASS, _ROWS] = slopes
    model.classifier.weight[1 - SPOOF_CLASS, _ROWS] = -slopes
    return off

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import WavLMConfig, WavLMModel
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from models.graph import FusedWavLMAttention, PrepareVoice, SpoofGraph, use_fused_attention
from models.labels import SpoofRule
from tests.models.checkpoints import TINY_WAVE, TWO_LAYERS, windows


class Fixed(nn.Module):
    """Returns the given logits, whatever the input."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([logits]))

    def forward(self, samples: Tensor) -> Tensor:
        return self.logits.expand(samples.shape[0], -1)


@pytest.mark.parametrize(
    ("logits", "rule", "probability"),
    [
        ((0.0, 2.0), SpoofRule(1), 1 / (1 + np.exp(-2.0))),
        ((0.0, 2.0), SpoofRule(0), 1 / (1 + np.exp(2.0))),
        ((2.0,), SpoofRule(0), 1 / (1 + np.exp(-2.0))),
        ((2.0,), SpoofRule(0, inverted=True), 1 / (1 + np.exp(2.0))),
        ((0.0, 1.0, 0.0), SpoofRule(1, inverted=True), 2 / (2 + np.e)),
        ((0.0, 1.0, 0.0), SpoofRule(1), np.e / (2 + np.e)),
        ((0.0, 200.0), SpoofRule(1), 1.0),
        ((1.0, 2.0), SpoofRule(1, independent=True), 1 / (1 + np.exp(-2.0))),
        ((1.0, 2.0, 0.0), SpoofRule(1, inverted=True, independent=True), 1 / (1 + np.exp(2.0))),
        ((-200.0,), SpoofRule(0), 0.0),
    ],
)
def test_reads_p_spoof(logits: tuple[float, ...], rule: SpoofRule, probability: float) -> None:
    scores = SpoofGraph(Fixed(*logits), PrepareVoice(False), rule)(torch.zeros(3, 100, dtype=torch.int16))
    assert scores.dtype == torch.float32
    np.testing.assert_allclose(scores.detach().numpy(), [probability] * 3, rtol=1e-6)


def test_bf16_probabilities_are_not_rounded_to_bf16() -> None:
    graph = SpoofGraph(Fixed(0.0, 5.0), PrepareVoice(False), SpoofRule(1)).cast(torch.bfloat16)
    score = graph(torch.zeros(1, 100, dtype=torch.int16)).item()
    assert score == pytest.approx(1 / (1 + np.exp(-5.0)), abs=1e-6)


@pytest.mark.parametrize("stable", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("samples", [400, 16_000, 64_000])
def test_fused_attention_computes_what_the_original_does(stable: bool, samples: int) -> None:
    torch.manual_seed(0)
    norm = "layer" if stable else "group"
    config = {**TINY_WAVE, **TWO_LAYERS, "do_stable_layer_norm": stable, "feat_extract_norm": norm}
    original: Any = WavLMModel(WavLMConfig(**config))
    original.eval()
    with torch.no_grad():  # random biases and gates are too small to matter otherwise
        for name, parameter in original.named_parameters():
            if "rel_attn_embed" in name or "gru_rel_pos" in name:
                parameter.normal_(0.0, 2.0)
    fused = copy.deepcopy(original)
    use_fused_attention(fused)
    assert not any(type(module) is WavLMAttention for module in fused.modules())
    assert sum(isinstance(module, FusedWavLMAttention) for module in fused.modules()) == 2
    heard = torch.from_numpy(np.stack(windows(samples))).float() / 32768
    with torch.inference_mode():
        expected, got = original(heard).last_hidden_state, fused(heard).last_hidden_state
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_fused_attention_refuses_a_mask_rather_than_ignore_it() -> None:
    model: Any = WavLMModel(WavLMConfig(**TINY_WAVE))
    model.eval()
    use_fused_attention(model)
    with pytest.raises(ValueError, match="no attention mask"):
        model(torch.zeros(1, 16_000), attention_mask=torch.ones(1, 16_000, dtype=torch.long))

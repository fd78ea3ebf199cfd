"""The complete computation from transported bytes to P(spoof), as one torch module, the same for every engine."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from transformers.models.dinov2_with_registers.modeling_dinov2_with_registers import Dinov2WithRegistersEmbeddings
from transformers.models.efficientnet.modeling_efficientnet import EfficientNetModel
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from models.labels import SpoofRule


class Graph(nn.Module):
    """What an engine runs: a batch as transported -> float32, one row for each item."""

    def cast(self, dtype: torch.dtype) -> Self:
        """Computes in `dtype`."""
        return self.to(dtype)


class SpoofGraph(Graph):
    """Prepares its input, runs a classifier on it, and reads P(spoof) from the logits.

    Input: int16 `(n, samples)` or uint8 `(n, height, width, 3)`. Output: float32 `(n,)` in 0..1.

    Args:
        model: maps prepared input to logits `(n, classes)`, as a tensor or as `.logits`.
        prepare: maps raw input to what `model` takes, float32.
        rule: which class means spoof, and whether classes share a probability; a single one has a sigmoid.
    """

    def __init__(self, model: nn.Module, prepare: nn.Module, rule: SpoofRule) -> None:
        super().__init__()
        self.model = model
        self.prepare = prepare
        self.rule = rule
        self.dtype = torch.float32
        use_fused_attention(model)

    def cast(self, dtype: torch.dtype) -> Self:
        """Computes the model in `dtype`; preparation and probabilities stay in fp32."""
        self.model.to(dtype)
        self.dtype = dtype
        return self

    def forward(self, raw: Tensor) -> Tensor:
        """P(spoof) of each item."""
        outputs = self.model(self.prepare(raw).to(self.dtype))
        logits: Tensor = (outputs if isinstance(outputs, Tensor) else outputs.logits).to(torch.float32)
        # A tracer sees sizes as tensors: without int() the branch is taken for data.
        if int(logits.shape[-1]) == 1 or self.rule.independent:
            logit = logits[:, self.rule.index]
            return torch.sigmoid(-logit if self.rule.inverted else logit)
        probabilities = torch.softmax(logits, dim=-1)
        spoof = probabilities[:, self.rule.index]
        return 1.0 - spoof if self.rule.inverted else spoof


class PrepareVoice(nn.Module):
    """int16 samples to floats in -1..1, each window normalised to zero mean and unit variance if configured."""

    def __init__(self, normalize: bool) -> None:
        super().__init__()
        self.normalize = normalize

    def forward(self, windows: Tensor) -> Tensor:
        """(n, samples) int16 -> (n, samples) float32."""
        samples = windows.to(torch.float32) / 32768.0
        if not self.normalize:
            return samples
        centred = samples - samples.mean(dim=-1, keepdim=True)
        # The same small constant as Wav2Vec2FeatureExtractor: it matters for near-silence.
        return centred / torch.sqrt((centred * centred).mean(dim=-1, keepdim=True) + 1e-7)


class PrepareImage(nn.Module):
    """RGB bytes to normalised planes, in the order blue, green, red if `bgr`."""

    def __init__(self, rescale: float, mean: Sequence[float], std: Sequence[float], *, bgr: bool = False) -> None:
        super().__init__()
        self.bgr = bgr
        centre, spread = torch.tensor(list(mean)), torch.tensor(list(std))
        self.register_buffer("scale", (rescale / spread).view(1, 3, 1, 1))
        self.register_buffer("shift", (-centre / spread).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(n, height, width, 3) uint8 -> (n, 3, height, width) float32."""
        planes = images.permute(0, 3, 1, 2).to(torch.float32)
        planes = planes * self.get_buffer("scale") + self.get_buffer("shift")
        return planes.flip(1) if self.bgr else planes


class FusedWavLMAttention(WavLMAttention):
    """WavLM's attention with its gated position bias as an additive mask of one fused kernel.

    The original requests attention weights that are not used, which rules out fused kernels.
    """

    def forward(  # type: ignore[override]  # upstream annotates its position bias wrongly
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        **_: object,
    ) -> tuple[Tensor, None, Tensor]:
        """(n, frames, dim) -> the same shape, no weights, the bias (1, heads, frames, frames) for the next layer."""
        if attention_mask is not None:
            raise ValueError("windows of one length are never padded, so there is no attention mask")
        frames = hidden_states.shape[1]
        if position_bias is None:
            position_bias = self.compute_bias(frames, frames).unsqueeze(0)
        heads = (-1, frames, self.num_heads, self.head_dim)
        by_head = hidden_states.view(heads).transpose(1, 2)
        gates = self.gru_rel_pos_linear(by_head).view(-1, self.num_heads, frames, 2, 4).sum(-1)
        gate_a, gate_b = torch.sigmoid(gates).chunk(2, dim=-1)
        bias = (gate_a * (gate_b * self.gru_rel_pos_const - 1.0) + 2.0) * position_bias
        query, key, value = (
            project(hidden_states).view(heads).transpose(1, 2) for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), None, position_bias


class FixedRegisterPositions(Dinov2WithRegistersEmbeddings):
    """Embeddings of DINOv2 with registers for photos of one size.

    The original scales its grid of positions for each photo, with a filter that OpenVINO computes otherwise.
    """

    def interpolate_pos_encoding(self, embeddings: Tensor, height: int, width: int) -> Tensor:
        """The positions as scaled once; the arguments are not used."""
        return self.get_buffer("scaled_positions")


def fit_to_size(model: nn.Module, height: int, width: int) -> None:
    """Replaces what OpenVINO computes otherwise than torch, or not at all, by what is the same for photos of this size.

    Scales grids of positions once, and takes means over whole pictures where a window larger than the picture does.
    """
    for module in model.modules():
        if isinstance(module, EfficientNetModel) and isinstance(module.pooler, nn.AvgPool2d):
            module.add_module("pooler", nn.AdaptiveAvgPool2d(1))
        if type(module) is Dinov2WithRegistersEmbeddings:
            rows, columns = module.patch_embeddings.patch_size
            patches = (height // rows) * (width // columns)
            shape = (1, 1 + patches, module.position_embeddings.shape[-1])
            with torch.inference_mode(False), torch.no_grad():
                scaled = module.interpolate_pos_encoding(torch.zeros(shape), height, width).clone()
            module.register_buffer("scaled_positions", scaled)
            module.__class__ = FixedRegisterPositions


def use_fused_attention(model: nn.Module) -> None:
    """Makes every WavLM attention in `model` a fused one; the weights stay where they are."""
    for module in model.modules():
        if type(module) is WavLMAttention:
            module.__class__ = FusedWavLMAttention

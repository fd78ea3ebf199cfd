"""Keys and shapes of research checkpoints, as their training programs write them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from models.heads.kinds import KIND_OF

Shapes = dict[str, tuple[int, ...]]
SSL = "ssl_model.model."
OWN_SSL = "m_ssl.model."
_KERNELS = (10, 3, 3, 3, 3, 2, 2)
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class BodySize:
    """Of a body under fairseq's names; by default XLS-R with two small layers, its width being that of the original."""

    width: int = 1024
    layers: int = 2
    inner: int = 64
    channels: int = 16
    positions: int = 16
    frame_norm: bool = True
    conv_bias: bool = True


XLSR_300M = BodySize(layers=24, inner=4096, channels=512, positions=128)
WAV2VEC2_SMALL = BodySize(width=768, frame_norm=False, conv_bias=False)
HUBERT_LARGE = BodySize(conv_bias=False)


def body(size: BodySize, prefix: str) -> Shapes:
    """wav2vec 2.0 without its objective; HuBERT's is the same."""
    width, inner, channels = size.width, size.inner, size.channels
    shapes: Shapes = {"mask_emb": (width,)}
    for index, kernel in enumerate(_KERNELS):
        layer = f"feature_extractor.conv_layers.{index}"
        shapes[f"{layer}.0.weight"] = (channels, channels if index else 1, kernel)
        if size.conv_bias:
            shapes[f"{layer}.0.bias"] = (channels,)
        if size.frame_norm or index == 0:
            norm = f"{layer}.2.1" if size.frame_norm else f"{layer}.2"
            shapes |= {f"{norm}.weight": (channels,), f"{norm}.bias": (channels,)}
    shapes |= _linear("post_extract_proj", channels, width) | _norm("layer_norm", channels)
    shapes |= {
        "encoder.pos_conv.0.bias": (width,),
        "encoder.pos_conv.0.weight_g": (1, 1, size.positions),
        "encoder.pos_conv.0.weight_v": (width, width // 16, size.positions),
    }
    for index in range(size.layers):
        layer = f"encoder.layers.{index}"
        for name in ("k", "v", "q", "out"):
            shapes |= _linear(f"{layer}.self_attn.{name}_proj", width, width)
        shapes |= _norm(f"{layer}.self_attn_layer_norm", width) | _norm(f"{layer}.final_layer_norm", width)
        shapes |= _linear(f"{layer}.fc1", width, inner) | _linear(f"{layer}.fc2", inner, width)
    shapes |= _norm("encoder.layer_norm", width)
    return {prefix + key: shape for key, shape in shapes.items()}


def quantizer(size: BodySize, prefix: str) -> Shapes:
    """What the objective of wav2vec 2.0 adds."""
    shapes = {"quantizer.vars": (1, 16, 8), **_linear("quantizer.weight_proj", size.channels, 16)}
    shapes |= _linear("project_q", 16, 16) | _linear("final_proj", size.width, 16)
    return {prefix + key: shape for key, shape in shapes.items()}


def wavlm(size: BodySize, prefix: str, heads: int) -> Shapes:
    """WavLM adds relative positions, whose table is in the first layer alone."""
    shapes = body(size, prefix)
    for index in range(size.layers):
        layer = f"{prefix}encoder.layers.{index}.self_attn"
        shapes |= _linear(f"{layer}.grep_linear", size.width // heads, 8) | {f"{layer}.grep_a": (1, heads, 1, 1)}
    return shapes | {f"{prefix}encoder.layers.0.self_attn.relative_attention_bias.weight": (320, heads)}


def head(kind: str, given: Mapping[str, tuple[int, ...]], groups: int = 8) -> Shapes:
    """What a kind has beside the body `given`, and norms that have no effect; `groups` are those of Nes2Net."""
    import torch

    wanted: Shapes = {}
    if kind == "xlsr-nes2net":
        wanted = {f"Nested_Res2Net_TDNN.Build_in_Res2Nets.{index}.x": () for index in range(groups - 1)}
        wanted |= {f"Nested_Res2Net_TDNN.Build_in_Res2Nets.0.convs.{index}.x": () for index in range(groups - 1)}
        wanted |= {"Nested_Res2Net_TDNN.Build_in_Res2Nets.0.se.se.1.weight": (128, 128, 1)}
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in (wanted | dict(given)).items()}
        own = KIND_OF[kind].build(state).state_dict()
    shapes = {key: tuple(tensor.shape) for key, tensor in own.items() if not key.startswith("body.")}
    return shapes | _idle_norms(kind)


@functools.cache
def research_file(kind: str, size: BodySize | None = None, groups: int = 8) -> Shapes:
    """All tensors of a file of a kind; `size` is that of its body, `groups` see `head`."""
    prefix = KIND_OF[kind].body
    given = body(size or BodySize(), prefix) | quantizer(size or BodySize(), prefix) if prefix else {}
    return given | head(kind, given, groups)


def _idle_norms(kind: str) -> Shapes:
    shapes: Shapes = {}
    if kind in ("aasist", "aasist-l", "xlsr-aasist"):
        wide = 24 if kind == "aasist-l" else 64
        planes = {f"encoder.{index}.0.bn1": 32 if index < 3 else wide for index in range(1, 6)}
    elif kind == "rawnet2":
        planes = {f"block{index}.0.bn1": 20 if index < 3 else 128 for index in range(1, 6)}
    else:
        return {}
    for norm, channels in planes.items():
        shapes |= {f"{norm}.{name}": (channels,) for name in _STATISTICS} | {f"{norm}.num_batches_tracked": ()}
    return shapes


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

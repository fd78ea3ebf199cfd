"""fairseq's names of wav2vec 2.0, XLS-R, HuBERT and WavLM, beside transformers' names of the same tensors."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

Family = Literal["wav2vec2", "hubert", "wavlm"]

_WHOLE = {
    "post_extract_proj.weight": "feature_projection.projection.weight",
    "post_extract_proj.bias": "feature_projection.projection.bias",
    "layer_norm.weight": "feature_projection.layer_norm.weight",
    "layer_norm.bias": "feature_projection.layer_norm.bias",
    "encoder.pos_conv.0.bias": "encoder.pos_conv_embed.conv.bias",
    "encoder.pos_conv.0.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv.0.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    "encoder.layer_norm.weight": "encoder.layer_norm.weight",
    "encoder.layer_norm.bias": "encoder.layer_norm.bias",
}
_IN_LAYER = {
    **{
        f"self_attn.{name}_proj.{kind}": f"attention.{name}_proj.{kind}"
        for name in ("k", "v", "q", "out")
        for kind in ("weight", "bias")
    },
    **{
        f"{theirs}.{kind}": f"{ours}.{kind}"
        for theirs, ours in {
            "self_attn_layer_norm": "layer_norm",
            "fc1": "feed_forward.intermediate_dense",
            "fc2": "feed_forward.output_dense",
            "final_layer_norm": "final_layer_norm",
            "self_attn.grep_linear": "attention.gru_rel_pos_linear",
        }.items()
        for kind in ("weight", "bias")
    },
    "self_attn.grep_a": "attention.gru_rel_pos_const",
    "self_attn.relative_attention_bias.weight": "attention.rel_attn_embed.weight",
}
_CONVOLUTION = {
    "0.weight": "conv.weight",
    "0.bias": "conv.bias",
    # A norm of the whole first layer ("default"), or of each frame in every layer ("layer_norm").
    "2.weight": "layer_norm.weight",
    "2.bias": "layer_norm.bias",
    "2.1.weight": "layer_norm.weight",
    "2.1.bias": "layer_norm.bias",
}
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)")
_CONVOLUTIONS = re.compile(r"feature_extractor\.conv_layers\.(\d+)\.(.+)")
TRAINING_ONLY = re.compile(r"mask_emb|label_embs_concat|(quantizer|project_q|final_proj|target_glu|project_inp)\..+")
"""Tensors from pre-training that no features depend on: the mask, the quantizer and the heads of the objective."""


def transformers_name(name: str) -> str | None:
    """The name in transformers of a tensor that fairseq calls `name`; None when it is none of a body's."""
    if layer := _LAYER.fullmatch(name):
        inner = _IN_LAYER.get(layer[2])
        return inner and f"encoder.layers.{layer[1]}.{inner}"
    if convolution := _CONVOLUTIONS.fullmatch(name):
        inner = _CONVOLUTION.get(convolution[2])
        return inner and f"feature_extractor.conv_layers.{convolution[1]}.{inner}"
    return _WHOLE.get(name)


def fairseq_name(name: str, *, frame_norm: bool) -> str:
    """The reverse of `transformers_name`.

    Args:
        name: a tensor's name in transformers' bodies.
        frame_norm: whether each convolution has a norm of its own.
    """
    if layer := _LAYER.fullmatch(name):
        return f"encoder.layers.{layer[1]}.{_reverse(_IN_LAYER)[layer[2]]}"
    if convolution := _CONVOLUTIONS.fullmatch(name):
        inner = convolution[2].replace("layer_norm", "2.1" if frame_norm else "2").replace("conv", "0")
        return f"feature_extractor.conv_layers.{convolution[1]}.{inner}"
    return _reverse(_WHOLE)[name]


def family(names: Iterable[str]) -> Family:
    """Which architecture fairseq's `names` are of; HuBERT's body is computed as wav2vec 2.0's is."""
    names = list(names)
    if any(".self_attn.grep_a" in name for name in names):
        return "wavlm"
    return "hubert" if "label_embs_concat" in names else "wav2vec2"


def _reverse(names: Mapping[str, str]) -> dict[str, str]:
    return {ours: theirs for theirs, ours in names.items()}

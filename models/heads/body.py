"""Self-supervised bodies: from tensors under fairseq's names to transformers' model of the same architecture.

Shapes tell all sizes but the number of attention heads, which is known for the published widths.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from models.errors import UnsupportedModel
from models.heads.fairseq_names import Family, family
from models.manifest_names import EXPORT

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_HEADS = {768: 12, 1024: 16, 1280: 16, 1920: 16}
"""By width: wav2vec 2.0 and HuBERT base, large (XLS-R and MMS 300M, WavLM large), 1B, XLS-R 2B."""
_STRIDES = (5, 2, 2, 2, 2, 2, 2)
_MAX_DISTANCE = 800
"""Of WavLM's relative positions; all published WavLMs have it."""


class Body(nn.Module):
    """Windows to the last layer's frames, or to the frames of every layer.

    Args:
        config: transformers' description.
    """

    def __init__(self, config: "PretrainedConfig") -> None:
        super().__init__()
        import transformers

        classes: dict[Family, Any] = {
            "wav2vec2": transformers.Wav2Vec2Model,
            "hubert": transformers.HubertModel,
            "wavlm": transformers.WavLMModel,
        }
        self.network = classes[config.model_type](config)  # type: ignore[index]
        self.width = int(config.hidden_size)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 -> (n, frames, width), behind the last norm."""
        frames: Tensor = self.network(samples).last_hidden_state
        return frames

    def layers(self, samples: Tensor) -> list[Tensor]:
        """(n, samples) float32 -> the output of each layer, (n, frames, width), before the last norm.

        For wav2vec 2.0 with its norms before each layer (XLS-R) alone.
        """
        network = self.network
        frames, _ = network.feature_projection(network.feature_extractor(samples).transpose(1, 2))
        frames = frames + network.encoder.pos_conv_embed(frames)
        found = []
        for layer in network.encoder.layers:
            frames = layer(frames, attention_mask=None)
            found.append(frames)
        return found


def body_config(state: Mapping[str, Tensor]) -> "PretrainedConfig":
    """The architecture that tensors under fairseq's names, without any prefix, belong to.

    Args:
        state: the tensors; only their shapes are read.

    Raises:
        UnsupportedModel: they are no such body, or of a width whose number of heads is not known.
    """
    import transformers

    kind = family(state)
    try:
        convolutions = [state[f"feature_extractor.conv_layers.{i}.0.weight"].shape for i in range(len(_STRIDES))]
        width, inner = (int(state["encoder.layers.0.fc1.weight"].shape[axis]) for axis in (1, 0))
        positions = state["encoder.pos_conv.0.weight_v"].shape
    except (KeyError, IndexError) as error:
        raise UnsupportedModel(
            f"the tensors are no body of fairseq's wav2vec 2.0, HuBERT or WavLM: {error}; {EXPORT}"
        ) from error
    heads = _HEADS.get(width)
    if heads is None:
        raise UnsupportedModel(
            f"how many attention heads a body of width {width} has is in no tensor, and not known; {EXPORT}"
        )
    frame_norm = "feature_extractor.conv_layers.0.2.1.weight" in state
    more: dict[str, Any] = {}
    if kind == "wavlm":
        buckets = state.get("encoder.layers.0.self_attn.relative_attention_bias.weight")
        more = {"max_bucket_distance": _MAX_DISTANCE, "num_buckets": 320 if buckets is None else int(buckets.shape[0])}
    classes: dict[Family, Any] = {
        "wav2vec2": transformers.Wav2Vec2Config,
        "hubert": transformers.HubertConfig,
        "wavlm": transformers.WavLMConfig,
    }
    config: PretrainedConfig = classes[kind](
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=_count(state),
        num_attention_heads=heads,
        conv_dim=[int(shape[0]) for shape in convolutions],
        conv_kernel=[int(shape[2]) for shape in convolutions],
        conv_stride=list(_STRIDES),
        conv_bias="feature_extractor.conv_layers.0.0.bias" in state,
        num_conv_pos_embeddings=int(positions[2]),
        num_conv_pos_embedding_groups=width // int(positions[1]),
        # Published bodies have both or neither: a norm of each convolution, and norms before attention.
        feat_extract_norm="layer" if frame_norm else "group",
        do_stable_layer_norm=frame_norm,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        mask_feature_prob=0.0,
        layerdrop=0.0,
        **more,
    )
    return config


def _count(state: Mapping[str, Tensor]) -> int:
    layers = {name.split(".")[2] for name in state if name.startswith("encoder.layers.")}
    return len(layers)

"""The small WavLM that is judged by statistics: its configuration and the folder it is saved to.

The folder is in transformers' format; `models.statistics_wavlm` holds the class that its `config.json` names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForSequenceClassification

from lab.line.samples import RATE
from lab.training import voice_front
from models.graph import use_fused_attention
from models.statistics_wavlm import WavLMForStatistics
from models.statistics_wavlm import statistics as seen

LABELS = {0: "bonafide", 1: "spoof"}


def config(settings: Mapping[str, Any]) -> WavLMConfig:
    """The architecture for the `model` part of the settings file."""
    fixed = {
        "num_labels": 2,
        "id2label": LABELS,
        "label2id": {name: index for index, name in LABELS.items()},
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_dim": list(voice_front.CONV_DIM),
        "conv_kernel": list(voice_front.CONV_KERNEL),
        "conv_stride": list(voice_front.CONV_STRIDE),
        "conv_bias": True,
        "spectral_filters": voice_front.FILTERS,
        # Positions come from the relative bias; this convolution stays switched off.
        "num_conv_pos_embeddings": 3,
        "num_conv_pos_embedding_groups": settings["hidden_size"],
    }
    return WavLMConfig(**fixed, **settings)


def build(settings: Mapping[str, Any], seed: int) -> WavLMForStatistics:
    """A model with random weights, in training mode, on the CPU, float32.

    Args:
        settings: The `model` part of the settings file; the convolutions are those of `voice_front`.
        seed: Of the weights.
    """
    torch.manual_seed(seed)
    model = WavLMForStatistics(config(settings))
    model.train()
    return model


def continued(settings: Mapping[str, Any], folder: Path, seed: int) -> WavLMForStatistics:
    """A model as `build` makes it, with the front and the layers of an earlier one; its head is untrained.

    Args:
        settings: See `build`; sizes are those of the earlier model.
        folder: Of a WavLM with any head.
        seed: Of the head's weights.
    """
    model = build(settings, seed)
    model.wavlm.load_state_dict(WavLMForSequenceClassification.from_pretrained(folder).wavlm.state_dict())
    return model


def save(model: WavLMForStatistics, folder: Path) -> None:
    """Writes config.json, model.safetensors and preprocessor_config.json.

    The weights are stored in half precision, which halves the file; the configuration says float32, and
    that is what transformers loads them as.
    """
    stored = {name: weight.half() for name, weight in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=stored)
    extractor = Wav2Vec2FeatureExtractor(  # type: ignore[no-untyped-call]
        feature_size=1,
        sampling_rate=RATE,
        padding_value=0.0,
        do_normalize=True,
        return_attention_mask=False,
        short_windows="as_is",  # own key, read by `models.preprocessing`
    )
    extractor.save_pretrained(folder)


def load(folder: Path) -> WavLMForStatistics:
    """What `save` wrote, or a bundled model of this kind, to judge by: float32, on the CPU, not in training mode."""
    model: WavLMForStatistics = WavLMForStatistics.from_pretrained(folder, dtype=torch.float32)
    return model


def statistics(model: WavLMForStatistics, features: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
    """What the head sees of the output of the front: float32 (windows, width).

    The layers compute in bfloat16, which is three times as fast where the processor supports it; weights stay float32.
    """
    with torch.autocast(features.device.type, torch.bfloat16):
        states = model.wavlm.encoder(features).last_hidden_state
    return seen(features, states, spectrum, float(model.config.silence_gate))


class Layers(torch.nn.Module):
    """The part of the model behind its front: the output of `front` in, loss and logits out."""

    def __init__(self, model: WavLMForStatistics, dropout: float = 0.0) -> None:
        """Freezes the front; the rest is trained.

        Args:
            model: To train.
            dropout: Share of the statistics that the head does without, drawn anew in every step.
        """
        super().__init__()
        self.model = model
        # As served: on a CPU in bfloat16 the original attention takes ten times as long.
        use_fused_attention(model)
        self.dropout = dropout
        model.freeze_feature_encoder()  # type: ignore[no-untyped-call]
        for part in (model.wavlm.feature_projection, model.wavlm.encoder.pos_conv_embed):
            part.requires_grad_(False)

    def forward(self, features: torch.Tensor, spectrum: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Takes float32 (..., frames, width or filters), int64 (...); returns the mean loss, float32 (windows, 2)."""
        features, spectrum, truth = features.flatten(0, -3), spectrum.flatten(0, -3), labels.flatten()
        found = statistics(self.model, features, spectrum)
        centre = self.model.get_buffer("centre")
        kept = torch.nn.functional.dropout(found - centre, self.dropout, self.training) + centre
        logits = self.model.head(kept)
        return {"loss": torch.nn.functional.cross_entropy(logits, truth), "logits": logits}

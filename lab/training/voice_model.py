"""The small WavLM: its configuration and the folder it is saved to.

The result is a plain `WavLMForSequenceClassification`; nothing of this project is needed to load it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForSequenceClassification

from lab.line.samples import RATE
from lab.training import voice_front

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
        # Positions come from the relative bias; this convolution stays switched off.
        "num_conv_pos_embeddings": 3,
        "num_conv_pos_embedding_groups": settings["hidden_size"],
    }
    return WavLMConfig(**fixed, **settings)


def build(settings: Mapping[str, Any], seed: int) -> WavLMForSequenceClassification:
    """A model with random weights, in training mode, on the CPU, float32.

    Args:
        settings: The `model` part of the settings file; the convolutions are those of `voice_front`.
        seed: Of the weights.
    """
    torch.manual_seed(seed)
    model = WavLMForSequenceClassification(config(settings))
    model.train()
    return model


def save(model: WavLMForSequenceClassification, folder: Path) -> None:
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


class Layers(torch.nn.Module):
    """The part of the model behind its front: the output of `voice_features.front_features` in, loss and logits out.

    The layers compute in bfloat16, which is three times as fast where the processor supports it; weights stay float32.
    """

    def __init__(self, model: WavLMForSequenceClassification) -> None:
        """Freezes the front; the rest is trained."""
        super().__init__()
        self.model = model
        model.freeze_feature_encoder()  # type: ignore[no-untyped-call]
        for part in (model.wavlm.feature_projection, model.wavlm.encoder.pos_conv_embed):
            part.requires_grad_(False)

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Takes float32 (..., frames, width) and int64 (...); returns the mean loss and float32 (windows, 2)."""
        features, truth = features.flatten(0, -3), labels.flatten()
        with torch.autocast(features.device.type, torch.bfloat16):
            states = self.model.wavlm.encoder(features).last_hidden_state
        logits = self.model.classifier(self.model.projector(states.float()).mean(1))
        return {"loss": torch.nn.functional.cross_entropy(logits, truth), "logits": logits}

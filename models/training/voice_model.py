"""The small WavLM: its configuration, its first filters and the folder it is saved to.

The result is a plain `WavLMForSequenceClassification`; nothing of this project is needed to load it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForSequenceClassification

from models.training.data.voice_audio import RATE

LABELS = {0: "bonafide", 1: "spoof"}


def config(settings: Mapping[str, Any]) -> WavLMConfig:
    """The architecture for the `model` part of the settings file."""
    fixed = {
        "num_labels": 2,
        "id2label": LABELS,
        "label2id": {name: index for index, name in LABELS.items()},
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "use_weighted_layer_sum": False,
    }
    return WavLMConfig(**fixed, **settings)


def build(settings: Mapping[str, Any], seed: int) -> WavLMForSequenceClassification:
    """An untrained model whose first convolution is a Fourier filter bank.

    Args:
        settings: The `model` part of the settings file.
        seed: Of the initial weights.

    Returns:
        The model in training mode, on the CPU, float32.
    """
    torch.manual_seed(seed)
    model = WavLMForSequenceClassification(config(settings))
    first = model.wavlm.feature_extractor.conv_layers[0].conv
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(filter_bank(*first.weight.shape[::2]))[:, None])
        if first.bias is not None:
            first.bias.zero_()
    return model.train()


def filter_bank(filters: int, taps: int) -> NDArray[np.float32]:
    """Windowed cosines and sines, half spaced evenly, half by mel, over 50-7600 Hz.

    Args:
        filters: How many, a multiple of 4: per frequency a cosine, a sine and their negatives, since the
            rectifier that follows would lose half of each.
        taps: Samples per filter at 16 kHz.

    Returns:
        float32 (filters, taps), each of unit energy.
    """
    count = filters // 4
    even = np.linspace(50, 7600, count)
    mel = 700 * (np.exp(np.linspace(np.log1p(50 / 700), np.log1p(7600 / 700), count)) - 1)
    frequency = (even + mel) / 2
    phase = 2 * np.pi * frequency[:, None] * (np.arange(taps) - taps / 2) / RATE
    bank = np.concatenate([np.cos(phase), np.sin(phase)]) * np.hanning(taps)
    bank /= np.sqrt((bank**2).sum(1, keepdims=True))
    bank = np.concatenate([bank, -bank])
    return np.resize(bank, (filters, taps)).astype(np.float32)


def save(model: WavLMForSequenceClassification, folder: Path) -> None:
    """Writes config.json, model.safetensors (float32) and preprocessor_config.json."""
    model.save_pretrained(folder)
    extractor = Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=RATE, padding_value=0.0, do_normalize=True, return_attention_mask=False
    )
    extractor.save_pretrained(folder)

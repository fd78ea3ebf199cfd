"""Random audio classifiers that take features, tiny, and plain transformers' scores of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)

from tests.models.checkpoints import names, spread, windows

_SIZE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
FAMILIES: dict[str, tuple[Any, Any, dict[str, Any], Any, dict[str, Any]]] = {
    "ast": (
        ASTForAudioClassification,
        ASTConfig,
        {**_SIZE, "max_length": 512, "num_mel_bins": 32},
        ASTFeatureExtractor,
        {"max_length": 512, "num_mel_bins": 32},
    ),
    "whisper": (
        WhisperForAudioClassification,
        WhisperConfig,
        {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_layers": 1,
         "decoder_attention_heads": 2, "decoder_ffn_dim": 64, "max_source_positions": 250, "classifier_proj_size": 16,
         "vocab_size": 60, "pad_token_id": 50, "bos_token_id": 50, "eos_token_id": 50, "decoder_start_token_id": 50},
        WhisperFeatureExtractor,
        {"chunk_length": 5},
    ),
    "wav2vec2-bert": (
        Wav2Vec2BertForSequenceClassification,
        Wav2Vec2BertConfig,
        {**_SIZE, "classifier_proj_size": 16, "feature_projection_input_dim": 64},
        SeamlessM4TFeatureExtractor,
        {"num_mel_bins": 32, "feature_size": 32},
    ),
}  # fmt: skip


def save_features_voice(
    folder: Path,
    family: str,
    settings: dict[str, Any] | None = None,
    labels: Sequence[str] = ("real", "fake"),
    **changed: Any,
) -> Path:
    """Saves a random classifier with its feature extractor."""
    model_class, config_class, config, extractor_class, usual = FAMILIES[family]
    torch.manual_seed(0)
    model = model_class(config_class(**{**config, **changed}, **names(labels))).eval()
    extractor = extractor_class(**{**usual, **(settings or {})})
    head = model.classifier.dense if family == "ast" else model.classifier
    spread(model, head, *(_prepared(extractor, window)[0] for window in windows()))
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def _prepared(extractor: Any, window: NDArray[np.int16]) -> list[torch.Tensor]:
    found = extractor(window.astype(np.float32) / 32768, sampling_rate=16_000, return_tensors="pt")
    return [found[name] for name in (*extractor.model_input_names[:1], "attention_mask") if name in found]


def plain_features_scores(folder: Path, items: Sequence[NDArray[np.int16]]) -> NDArray[np.float32]:
    """The scores of transformers alone for class 1, one window at a time, in fp32."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)  # type: ignore[no-untyped-call]
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = [model(*_prepared(extractor, item)).logits[0] for item in items]
    return torch.softmax(torch.stack(logits), -1)[:, 1].numpy()

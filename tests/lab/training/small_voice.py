"""The `model` part of a settings file for a voice model of the smallest size."""

from typing import Any

MODEL: dict[str, Any] = {
    "hidden_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 6,
    "intermediate_size": 64,
    "classifier_proj_size": 8,
    "silence_gate": 0.02,
}

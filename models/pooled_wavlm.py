"""The `.pth` architecture: WavLM-base, frames pooled to 128 steps, one linear layer, one logit that means spoof."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import WavLMConfig, WavLMModel

from models.checkpoint import refuse_mismatch
from models.errors import CheckpointMismatch

POOLED_STEPS = 128
"""Time steps that any window is averaged to."""


class PooledWavLM(nn.Module):
    """`wavlm` -> `AdaptiveAvgPool1d(128)` over time -> flattened, feature by feature -> `linear` (768 * 128 -> 1)."""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        self.wavlm = WavLMModel(config)
        self.pool = nn.AdaptiveAvgPool1d(POOLED_STEPS)
        self.linear = nn.Linear(config.hidden_size * POOLED_STEPS, 1)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 -> logits (n, 1)."""
        frames = self.wavlm(samples).last_hidden_state
        logits: Tensor = self.linear(self.pool(frames.transpose(1, 2)).flatten(1))
        return logits


def load_pooled_wavlm(path: Path, config: Mapping[str, Any]) -> PooledWavLM:
    """The model of a `.pth` file, in fp32 and evaluation mode. Only tensors are read from it, never code.

    Args:
        path: a state dict, bare or under `model_state_dict`.
        config: WavLM's configuration.

    Raises:
        CheckpointMismatch: the file is no state dict, or its keys or shapes are not this architecture's.
    """
    state = _state_dict(path)
    model = PooledWavLM(WavLMConfig(**config))
    own = model.state_dict()
    misshapen = [key for key, value in state.items() if key in own and own[key].shape != value.shape]
    loaded = model.load_state_dict({key: state[key] for key in state if key not in misshapen}, strict=False)
    refuse_mismatch(
        path.name,
        missing=[key for key in loaded.missing_keys if key not in misshapen],
        unexpected=loaded.unexpected_keys,
        misshapen=misshapen,
    )
    return model.eval().requires_grad_(False)


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointMismatch(
            f"{path.name} holds more than tensors, and unpickling it could run untrusted code; "
            "save its state_dict() alone"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise CheckpointMismatch(f"{path.name} cannot be read as a torch checkpoint: {error}") from error
    if isinstance(content, Mapping) and isinstance(content.get("model_state_dict"), Mapping):
        content = content["model_state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointMismatch(f"{path.name} holds no state dict, neither bare nor under model_state_dict")
    if content and all(str(key).startswith("module.") for key in content):
        return {str(key).removeprefix("module."): value for key, value in content.items()}
    return {str(key): value for key, value in content.items()}

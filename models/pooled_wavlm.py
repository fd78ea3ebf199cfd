"""The `.pth` architecture: WavLM-base, frames pooled to 128 steps, one linear layer, one logit that means spoof."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import WavLMConfig, WavLMModel

from models.classifier import refuse_mismatch
from models.errors import UnsupportedModel
from models.heads.kinds import likely
from models.manifest_names import EXPORT
from models.weights import read_state

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
        UnsupportedModel: it is a detector that is converted first.
    """
    state = read_state(path)
    if (kind := likely(state)) is not None:
        raise UnsupportedModel(
            f"{path.name} holds {kind.title}, which is converted first: "
            f"`python -m models.convert {path.name} --licence LICENCE --out FOLDER`"
        )
    model = PooledWavLM(WavLMConfig(**config))
    own = model.state_dict()
    misshapen = [key for key, value in state.items() if key in own and own[key].shape != value.shape]
    loaded = model.load_state_dict({key: state[key] for key in state if key not in misshapen}, strict=False)
    refuse_mismatch(
        path.name,
        missing=[key for key in loaded.missing_keys if key not in misshapen],
        unexpected=loaded.unexpected_keys,
        misshapen=misshapen,
        way=f"Ways: get the file again, convert it (`python -m models.convert FILE --as KIND`), or {EXPORT}",
    )
    return model.eval().requires_grad_(False)

"""Random LoRA adapters, as peft writes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Arrays = dict[str, NDArray[np.float32]]


def save_adapter(folder: Path, base: Path | str, tensors: Mapping[str, NDArray[np.float32]], **config: Any) -> Path:
    """Writes an adapter as peft does; keys are those of the wrapped model."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": 4, "lora_alpha": 8, "bias": "none"}
    unset = {"use_dora": False, "use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}, "megatron_config": None}
    usual = {"init_lora_weights": True, "megatron_core": "megatron.core", "qalora_group_size": 16, "lora_dropout": 0.1}
    (folder / "adapter_config.json").write_text(json.dumps({**said, **unset, **usual, **config}))
    save_file(
        {f"base_model.model.{key}": value for key, value in tensors.items()}, folder / "adapter_model.safetensors"
    )
    return folder


def random_pairs(**shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Arrays:
    """A and B of each module of these shapes, as large as the weights."""
    rng = np.random.default_rng(3)
    return {
        f"{module}.lora_{side}.weight": rng.normal(0, 0.6, shape).astype(np.float32)
        for module, both in shapes.items()
        for side, shape in zip("AB", both, strict=True)
    }


def head(classes: int = 2) -> Arrays:
    rng = np.random.default_rng(4)
    values = {
        "projector.weight": rng.normal(0, 0.3, (16, 32)),
        "projector.bias": rng.normal(0, 0.1, 16),
        "classifier.weight": rng.normal(0, 0.2, (classes, 16)),
        "classifier.bias": rng.normal(0, 0.1, classes),
    }
    return {name: value.astype(np.float32) for name, value in values.items()}

"""Merges a LoRA adapter into a model of transformers, once, so that what serves is an ordinary classifier."""

from collections.abc import Callable

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightRenaming

from models.adapters import MERGE, Adapter
from models.errors import CheckpointMismatch
from models.weights import require_real


def merge(model: PreTrainedModel, adapter: Adapter) -> set[str]:
    """Changes the model's weights in place.

    Args:
        model: with the weights of the adapter's base, in fp32.
        adapter: its description.

    Returns:
        Names of the parameters that the adapter brings whole.

    Raises:
        CheckpointMismatch: the file is broken, or the adapter is for another model.
    """
    try:
        require_real(adapter.weights)
        tensors = {key: tensor.to(torch.float32) for key, tensor in load_file(adapter.weights).items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointMismatch(
            f"the weights of {adapter.folder.name} cannot be read: {error}; get them again"
        ) from error
    held = dict(model.state_dict())
    named = _naming(model, adapter)
    brought = {named(name): tensors[key] for name, key in adapter.whole.items()}
    with torch.no_grad():
        for name, tensor in brought.items():
            held[name].copy_(_fitting(held[name], tensor, name, adapter))
        for module, (a, b) in adapter.pairs.items():
            name = named(f"{module}.weight")
            difference = _difference(tensors[a], tensors[b], held[name], adapter) * adapter.scales[module]
            held[name].add_(_fitting(held[name], difference, name, adapter))
    return set(brought)


def _difference(a: Tensor, b: Tensor, weight: Tensor, adapter: Adapter) -> Tensor:
    """B times A in the shape of the weight, of a linear layer or of a convolution."""
    if a.shape[0] != b.flatten(1).shape[1]:
        raise CheckpointMismatch(
            f"lora_A {tuple(a.shape)} and lora_B {tuple(b.shape)} of {adapter.folder.name} differ; {MERGE}"
        )
    product = b.flatten(1) @ a.flatten(1)
    if weight.ndim == 2:
        return product.T if adapter.transposed else product
    return product.reshape(weight.shape) if product.numel() == weight.numel() else product


def _fitting(weight: Tensor, tensor: Tensor, name: str, adapter: Adapter) -> Tensor:
    if tensor.shape != weight.shape:
        raise CheckpointMismatch(
            f"the adapter {adapter.folder.name} is not for {adapter.base}: {name} is {tuple(weight.shape)} there, and "
            f"{tuple(tensor.shape)} in the adapter; give it its own base, or {MERGE}"
        )
    return tensor


def _naming(model: PreTrainedModel, adapter: Adapter) -> Callable[[str], str]:
    """Maps names of parameters, as of the release of transformers that the adapter was trained with, to the model's."""
    held = set(model.state_dict())
    renamings = [each for each in get_model_conversion_mapping(model) if isinstance(each, WeightRenaming)]

    def named(name: str) -> str:
        found = name
        if found not in held:
            for renaming in renamings:
                found, _ = renaming.rename_source_key(found)
        if found not in held:
            raise CheckpointMismatch(
                f"the adapter {adapter.folder.name} changes {name}, which its base {adapter.base} does not have here: "
                f"it is of another model, or of a release of transformers with other names; {MERGE}"
            )
        return found

    return named

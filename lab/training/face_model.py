"""The small DINOv2 image classifier before training: its configuration and where its weights start.

Only plain `Dinov2ForImageClassification`; the differences are the initial patch embedding (it
equalises the frequencies of photos, whose fine detail would otherwise be lost) and that training drops
patches.
"""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2ForImageClassification

from lab.training.face_photos import MEAN, STD

LABELS = {0: "live", 1: "spoof"}


def build(
    hidden_size: int, layers: int, heads: int, patch_size: int, crop: int, photos: NDArray[np.uint8]
) -> Dinov2ForImageClassification:
    """Makes an untrained model.

    Args:
        hidden_size: Width of a token.
        layers: Transformer layers.
        heads: Attention heads.
        patch_size: Side of a patch, pixels.
        crop: Side of the input, pixels.
        photos: uint8 (n, crop, crop, 3), training photos that determine the initial patch embedding.
    """
    config = Dinov2Config(
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        patch_size=patch_size,
        image_size=crop,
        drop_path_rate=0.0,
        id2label=LABELS,
        label2id={name: index for index, name in LABELS.items()},
    )
    model = Dinov2ForImageClassification(config)
    projection = model.dinov2.embeddings.patch_embeddings.projection
    with torch.no_grad():
        model.dinov2.embeddings.position_embeddings.mul_(0.02)
        projection.weight.copy_(whitening(photos, patch_size, hidden_size))
        nn.init.zeros_(cast(Tensor, projection.bias))
    return model


def whitening(photos: NDArray[np.uint8], patch_size: int, count: int) -> Tensor:
    """Filters whose responses to patches of photos are uncorrelated and equally strong.

    A quarter are the strongest principal components of the patches; the others are spread evenly over
    the rest, down to the finest, where halftone dots and display pixels are visible.

    Returns:
        float32 (count, 3, patch_size, patch_size).
    """
    rng = np.random.default_rng(0)
    side = photos.shape[1] - patch_size
    length = 3 * patch_size**2
    corners = rng.integers(0, side + 1, (40 * length, 2))
    which = rng.integers(0, len(photos), len(corners))
    patches = np.stack(
        [photos[n, y : y + patch_size, x : x + patch_size] for n, (y, x) in zip(which, corners, strict=True)]
    ).astype(np.float32)
    normal = (patches / 255 - np.array(MEAN)) / np.array(STD)
    flat = normal.transpose(0, 3, 1, 2).reshape(len(patches), length)
    values, vectors = np.linalg.eigh(np.cov(flat.T))
    order = np.argsort(values)[::-1]
    strongest = count // 4
    spread = strongest + np.linspace(0, 0.9 * (length - strongest) - 1, count - strongest).astype(int)
    chosen = order[np.concatenate([np.arange(strongest), spread])]
    scale = 0.5 / np.sqrt(values[chosen] + 1e-3)
    filters = (vectors[:, chosen] * scale).T.reshape(count, 3, patch_size, patch_size)
    return torch.from_numpy(filters.astype(np.float32))


def leave_out_patches(model: Dinov2ForImageClassification, share: float) -> None:
    """Makes the model drop that share of the patch tokens of a batch at random while it trains."""

    def drop(module: nn.Module, _: Any, tokens: Tensor) -> Tensor | None:
        if not module.training or share <= 0:
            return None
        patches = tokens.shape[1] - 1
        kept = torch.randperm(patches, device=tokens.device)[: round(patches * (1 - share))] + 1
        return torch.cat([tokens[:, :1], tokens[:, kept]], dim=1)

    model.dinov2.embeddings.register_forward_hook(drop)

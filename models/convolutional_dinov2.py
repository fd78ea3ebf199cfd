"""A DINOv2 whose patches are embedded by convolutions: what a screen or a print leaves in a photo is fine and local.

A network of inverted residuals (`inverted_residual.py`) stands in place of the one convolution
that cuts the patches out (Xiao et al., "Early Convolutions Help Transformers See Better", arXiv:2106.14881).
Branches of convolutions alone may stand beside it. The folder is in transformers' format; its `config.json` names this
class under `architectures`.
"""

from typing import cast

import torch
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2ForImageClassification
from transformers.modeling_outputs import ImageClassifierOutput

from models.config_numbers import checked
from models.crop_branch import CropBranch, together
from models.inverted_residual import Residual, convolution

_MAX_STAGES = 6
_MAX_BLOCKS = 12
_MAX_EXPANSION = 8
_MAX_POOLING = 8
_MAX_BRANCHES = 4


class Dinov2WithConvolutions(Dinov2ForImageClassification):  # type: ignore[no-untyped-call]
    """Photos -> stem -> DINOv2's layers -> classifier, and the branches beside it.

    Where there are branches, the log odds of spoof are theirs, less the logarithm of the classifier's probability of
    live: a trace of an attack that it sees counts, and that it sees none counts for nothing.

    Args:
        config: of DINOv2, with `stem_channels`, of each stage, `stem_blocks`, how many inverted residuals each has,
            `stem_expansion`, by how much these widen, and `stem_pooling`, the side of the squares of pixels that are
            averaged first. Each stage halves the edges, and together they make patches of `patch_size` pixels.
            `branch_edges`: of the middle that each branch is given, in pixels; without it there are none.

    Raises:
        ValueError: the stem is none, or leads to other patches, or a branch would see more than there is; a
            configuration may say anything.
    """

    def __init__(self, config: Dinov2Config) -> None:
        super().__init__(config)
        self.dinov2.embeddings.patch_embeddings = ConvolutionalStem(config)  # type: ignore[assignment]
        edges = getattr(config, "branch_edges", None)
        largest = cast("int", config.image_size)
        self.branches = nn.ModuleList(
            [] if edges is None else map(CropBranch, checked("branch_edges", edges, _MAX_BRANCHES, largest))
        )
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **_: object) -> ImageClassifierOutput:
        """(n, 3, height, width), normalised -> logits (n, 2); with labels, int64 (n,), the mean loss too."""
        logits = super().forward(pixel_values).logits
        if self.branches:
            logits = logits.float()
            seen = nn.functional.softplus(logits[:, 1] - logits[:, 0])
            half = (together(torch.stack([branch(pixel_values) for branch in self.branches])) + seen) / 2
            logits = torch.stack([-half, half], 1)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return ImageClassifierOutput(loss=loss, logits=logits)


class ConvolutionalStem(nn.Module):
    """(n, 3, height, width) -> (n, patches, hidden_size). Its attributes are those that DINOv2 reads of its own.

    Args:
        config: see `Dinov2WithConvolutions`.
    """

    def __init__(self, config: Dinov2Config) -> None:
        super().__init__()
        channels = checked("stem_channels", config.stem_channels, _MAX_STAGES)
        blocks = checked("stem_blocks", config.stem_blocks, _MAX_STAGES, _MAX_BLOCKS)
        (expansion,) = checked("stem_expansion", [config.stem_expansion], 1, _MAX_EXPANSION)
        (pooling,) = checked("stem_pooling", [config.stem_pooling], 1, _MAX_POOLING)
        side = pooling * 2 ** len(channels)
        if len(blocks) != len(channels) or side != config.patch_size:
            raise ValueError(
                f"a stem of {len(channels)} stages makes patches of {side} pixels, not {config.patch_size}"
            )
        self.patch_size = (side, side)
        self.num_patches = (cast("int", config.image_size) // side) ** 2
        self.pool = nn.AvgPool2d(pooling) if pooling > 1 else nn.Identity()
        layers: list[nn.Module] = []
        before = config.num_channels
        for after, count in zip(channels, blocks, strict=True):
            for index in range(count):
                stride = 1 if index else 2
                layers.append(
                    Residual(before, after, expansion * before, stride, _relu)
                    if layers
                    else convolution(before, after, 3, _relu, 2)
                )
                before = after
        self.stages = nn.Sequential(*layers)
        self.projection = nn.Conv2d(before, config.hidden_size, 1)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """See the class."""
        pixels = self.pool(pixel_values.to(self.projection.weight.dtype))
        embedded: Tensor = self.projection(self.stages(pixels))
        return embedded.flatten(2).transpose(1, 2)


def _relu(_channels: int) -> nn.Module:
    return nn.ReLU()

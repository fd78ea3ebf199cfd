"""The face model in training: its configuration, its two judges, and how these become one classifier."""

from collections.abc import Mapping
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from transformers import Dinov2Config

from lab.training.face_hints import Hints, Maps
from lab.training.face_pair import WIDTH
from lab.training.face_views import SIDE
from models.convolutional_dinov2 import ConvolutionalStem, Dinov2WithConvolutions
from models.graph import PrepareImage
from models.preprocessing import IMAGENET_MEAN, IMAGENET_STD

LABELS = {0: "live", 1: "spoof"}


class Judged(NamedTuple):
    """What the model in training says of n faces.

    Attributes:
        pair: log odds of fake, as the published pair would give them, (n,).
        label: the same as the simulators label them, (n,).
        seen: what the pair's last layers would see, standardised, (n, `WIDTH`).
        maps: what it sees itself.
    """

    pair: Tensor
    label: Tensor
    seen: Tensor
    maps: Maps


class FaceTraining(nn.Module):
    """`Dinov2WithConvolutions`, judged twice, once for each of its teachers.

    Args:
        settings: of the recipe.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.served = Dinov2WithConvolutions(config(settings))
        with torch.no_grad():
            self.served.dinov2.embeddings.position_embeddings.mul_(0.02)
        stem = cast(ConvolutionalStem, self.served.dinov2.embeddings.patch_embeddings)
        # transformers starts all weights as those of linear layers: of convolutions they would be too small to learn at
        # the rate of the others.
        for module in stem.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
        width = cast(nn.Linear, self.served.classifier).in_features
        self.pair, self.label, self.seen = nn.Linear(width, 1), nn.Linear(width, 1), nn.Linear(width, WIDTH)
        eighth, sixteenth = settings["stem_channels"][-2:]
        self.hints = Hints(eighth, sixteenth, settings["hidden_size"])
        self.prepared = PrepareImage(1 / 255, IMAGENET_MEAN, IMAGENET_STD)
        self._maps: dict[str, Tensor] = {}
        ends = list(accumulate(settings["stem_blocks"]))
        for name, end in (("eighth", ends[-2]), ("sixteenth", ends[-1])):
            stem.stages[end - 1].register_forward_hook(partial(self._keep, name))

    def forward(self, pictures: Tensor) -> Judged:
        """uint8 (n, `SIDE`, `SIDE`, 3), RGB -> both log odds, and what the pair would see."""
        states = self.served.dinov2(self.prepared(pictures)).last_hidden_state
        features = torch.cat([states[:, 0], states[:, 1:].mean(1)], 1)
        edge = self._maps["sixteenth"].shape[2]
        maps = Maps(tokens=states[:, 1:].transpose(1, 2).unflatten(2, (edge, edge)), **self._maps)
        return Judged(self.pair(features)[:, 0], self.label(features)[:, 0], self.seen(features), maps)

    def merged(self, pair_share: float, label_share: float) -> Dinov2WithConvolutions:
        """The model to be served: the classifier's odds of fake are both log odds, weighted and added."""
        half = {
            name: (pair_share * getattr(self.pair, name) + label_share * getattr(self.label, name)) / 2
            for name in ("weight", "bias")
        }
        with torch.no_grad():
            for name, value in half.items():
                cast(Tensor, getattr(self.served.classifier, name)).copy_(torch.cat([-value, value]))
        return self.served

    def _keep(self, name: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._maps[name] = output


def config(settings: Mapping[str, Any]) -> Dinov2Config:
    """The configuration that a recipe describes."""
    stem = {name: settings[name] for name in ("stem_pooling", "stem_channels", "stem_blocks", "stem_expansion")}
    return Dinov2Config(
        hidden_size=settings["hidden_size"],
        num_hidden_layers=settings["layers"],
        num_attention_heads=settings["heads"],
        patch_size=stem["stem_pooling"] * 2 ** len(stem["stem_channels"]),
        image_size=SIDE,
        drop_path_rate=0.0,
        id2label=LABELS,
        label2id={name: index for index, name in LABELS.items()},
        **stem,
    )

"""Random checkpoints, saved in the usual formats, and plain transformers' results for them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    AutoModelForImageClassification,
    Dinov2Config,
    Dinov2ForImageClassification,
    PreTrainedModel,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMForSequenceClassification,
    WavLMModel,
)
from transformers.image_processing_backends import PilBackend
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

from models.info import ImageGeometry
from models.options import LoadOptions

Windows = list[NDArray[np.int16]]
Photos = list[NDArray[np.uint8]]

TINY_WAVE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    # Two convolutions with the frames of the usual seven: 400 samples each, 320 apart.
    "conv_dim": [16] * 2,
    "conv_kernel": [240, 2],
    "conv_stride": [160, 2],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 16,
}
TINY_DINOV2: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 70,
    "patch_size": 14,
}
TWO_LAYERS: dict[str, Any] = {"num_hidden_layers": 2}
"""For tests of what layers share, or of one layer among others: most need one only, which is converted in less time."""


def options(folder: Path, **chosen: Any) -> LoadOptions:
    """Options that keep everything below `folder`."""
    # One thread: tiny models gain nothing from more, and torch spins when the cores are busy.
    return LoadOptions(**{"models_dir": folder / "models", "compiled_dir": folder / "compiled", "threads": 1, **chosen})


def names(labels: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def windows(samples: int = 64_000) -> Windows:
    """Six windows with very different sounds."""
    rng = np.random.default_rng(7)
    t = np.arange(samples) / 16_000
    sounds = [
        rng.normal(0, 0.1, samples),
        0.5 * np.sin(2 * np.pi * 440 * t),
        0.3 * np.sin(2 * np.pi * (100 + 700 * t) * t),
        rng.normal(0, 0.2, samples) * np.sin(2 * np.pi * 3 * t),
        (rng.random(samples) < 0.002) * 0.9,
        rng.normal(0, 0.001, samples),
    ]
    return [(sound * 32767).clip(-32768, 32767).astype(np.int16) for sound in sounds]


def photos(height: int = 300, width: int = 260) -> Photos:
    """Six upright RGB pictures: smooth ones, edges, noise, nearly black."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        np.stack([x % 256, y % 256, (x + y) % 256], -1),
        np.stack([255 * (x // 20 % 2), 255 * (y // 20 % 2), 0 * x], -1),
        rng.integers(0, 256, (height, width, 3)),
        rng.integers(0, 9, (height, width, 3)),
        np.stack([200 + 0 * x, 120 + y % 40, 90 + x % 30], -1),
        np.stack([0 * x, 255 - y % 256, 128 + 0 * x], -1),
    ]
    return [plane.astype(np.uint8) for plane in planes]


def spread(model: nn.Module, classifier: nn.Linear, *inputs: torch.Tensor) -> None:
    """Rescales a random head so that scores on the inputs lie well apart: random ones are all alike."""
    with torch.inference_mode():
        outputs = [model(batch) for batch in inputs]
        logits = torch.cat([output if isinstance(output, torch.Tensor) else output.logits for output in outputs])
        logits = logits[:, -1] - logits[:, 0] if logits.shape[1] > 1 else logits[:, 0]
        factor = 1.2 / logits.std()
        classifier.weight.mul_(factor)
        classifier.bias.mul_(factor)
        classifier.bias[-1] -= logits.mean() * factor


def save_voice(
    folder: Path,
    labels: Sequence[str],
    *,
    normalize: bool = False,
    model_class: type[PreTrainedModel] = WavLMForSequenceClassification,
    config_class: Any = WavLMConfig,
    **config: Any,
) -> Path:
    """Saves a random audio classifier with its feature extractor; the weights do not depend on the labels."""
    torch.manual_seed(0)
    model: Any = model_class(config_class(**config, **names(labels)))
    model.eval()
    spread(model, model.classifier, torch.from_numpy(np.stack(windows(16_000))).float() / 32768)
    model.save_pretrained(folder)
    extractor: Any = Wav2Vec2FeatureExtractor
    kept = extractor(do_normalize=normalize, return_attention_mask=False, short_windows="as_is")
    kept.save_pretrained(folder)
    return folder


def save_face(
    folder: Path,
    labels: Sequence[str],
    *,
    processor: PilBackend | None = None,
    model_class: type[PreTrainedModel] = Dinov2ForImageClassification,
    config_class: Any = Dinov2Config,
    convolutions: bool = False,
    **config: Any,
) -> Path:
    """Saves a random image classifier with its processor; the weights do not depend on the labels.

    With `convolutions`, these and their norms are set so that they keep the level of their input, which fades away
    otherwise.
    """
    torch.manual_seed(0)
    processor = processor or BitImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56})
    model: Any = model_class(config_class(**config, **names(labels)))
    for module in model.modules() if convolutions else ():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    if convolutions:
        with torch.no_grad():
            model.train()(processor(photos(), return_tensors="pt")["pixel_values"])
    model.eval()
    # The classifier's own logits are spread: beside branches the model's are not linear in them.
    branches, model.branches = getattr(model, "branches", nn.ModuleList()), nn.ModuleList()
    spread(model, model.classifier, processor(photos(), return_tensors="pt")["pixel_values"])
    model.branches = branches
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


class PlainPooled(nn.Module):
    """The architecture that `.pth` files come from, written down as its users know it."""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        self.wavlm = WavLMModel(config)
        self.pooling = nn.AdaptiveAvgPool1d(128)
        self.linear = nn.Linear(config.hidden_size * 128, 1)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        hidden = self.wavlm(samples).last_hidden_state.permute(0, 2, 1)
        pooled = self.pooling(hidden)
        logits: torch.Tensor = self.linear(pooled.reshape(pooled.shape[0], -1))
        return logits


def random_pooled(**config: Any) -> PlainPooled:
    torch.manual_seed(0)
    model = PlainPooled(WavLMConfig(**config)).eval()
    spread(model, model.linear, torch.from_numpy(np.stack(windows(4_000))).float() / 32768)
    return model


def plain_pooled_scores(model: PlainPooled, items: Windows) -> NDArray[np.float32]:
    with torch.inference_mode():
        scores = [torch.sigmoid(model(torch.from_numpy(item)[None].float() / 32768))[0, 0] for item in items]
        result: NDArray[np.float32] = torch.stack(scores).numpy()
        return result


def plain_voice_scores(folder: Path, items: Windows, spoof: int) -> NDArray[np.float32]:
    """The scores of transformers alone, one window at a time, in fp32."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)  # type: ignore[no-untyped-call]
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    scores = []
    for item in items:
        prepared = extractor(item.astype(np.float32) / 32768, sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            scores.append(torch.softmax(model(prepared["input_values"]).logits, -1)[0, spoof].item())
    return np.array(scores, np.float32)


def plain_face_scores(
    folder: Path, items: Photos, spoof: int, processor_class: type[PilBackend] = BitImageProcessorPil
) -> NDArray[np.float32]:
    """The scores of transformers alone, one photo at a time, in fp32."""
    processor = processor_class.from_pretrained(folder)
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    scores = []
    for item in items:
        with torch.inference_mode():
            logits = model(processor(Image.fromarray(item), return_tensors="pt")["pixel_values"]).logits
        scores.append(torch.softmax(logits, -1)[0, spoof].item())
    return np.array(scores, np.float32)


def apply(geometry: ImageGeometry, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Prepares a photo exactly as documented in `ImageGeometry`."""
    image = Image.fromarray(photo)
    if geometry.resize_shortest_edge:
        edge, short, long = geometry.resize_shortest_edge, min(image.size), max(image.size)
        other = int(edge * long / short)
        size = (edge, other) if image.width <= image.height else (other, edge)
        image = image.resize(size, Image.Resampling(geometry.resample))
    elif geometry.resize_height and geometry.resize_width:
        image = image.resize((geometry.resize_width, geometry.resize_height), Image.Resampling(geometry.resample))
    if geometry.crop_height and geometry.crop_width:
        top, left = (image.height - geometry.crop_height) / 2, (image.width - geometry.crop_width) / 2
        top, left = (round(edge) if geometry.crop_half_to_even else math.floor(edge) for edge in (top, left))
        image = image.crop((left, top, left + geometry.crop_width, top + geometry.crop_height))
    return np.asarray(image)

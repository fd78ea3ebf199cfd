"""Input preparation as given in a checkpoint's own processor file. Anything that is not supported is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import UnsupportedModel
from models.info import ImageGeometry

SAMPLE_RATE = 16_000
"""Samples per second that voice windows have; other rates are refused."""

_HALF = (0.5, 0.5, 0.5)
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_SHARED = {"do_resize": True, "do_center_crop": False, "do_rescale": True, "do_normalize": True,
           "rescale_factor": 1 / 255, "resample": 3, "image_mean": _HALF, "image_std": _HALF}  # fmt: skip
_BIT = {**_SHARED, "do_center_crop": True, "size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224},
        "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD}  # fmt: skip
_FIXED = {**_SHARED, "size": {"height": 224, "width": 224}}
_IMAGE_DEFAULTS: dict[str, dict[str, Any]] = {
    "Bit": _BIT,
    "CLIP": _BIT,
    "ViT": {**_FIXED, "resample": 2},
    "DeiT": {**_FIXED, "do_center_crop": True, "size": {"height": 256, "width": 256},
             "crop_size": {"height": 224, "width": 224}},
    "Siglip": _FIXED,
}  # fmt: skip
"""Defaults of transformers' processors for what the file omits, by the stem of their names."""
_SUFFIXES = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")
_NEVER = ("do_pad", "do_flip_channel_order", "do_thumbnail", "do_align_long_axis", "do_reduce_labels")


@dataclass(frozen=True)
class ImagePreparation:
    """Geometry before the model, arithmetic inside it: `(pixel * rescale - mean) / std` per RGB channel."""

    geometry: ImageGeometry
    rescale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class VoicePreparation:
    """Preparation of a window of 16 kHz samples for a voice model.

    Attributes:
        normalize: whether it is brought to zero mean and unit variance.
        repeat_short: whether one that is shorter than a full one is repeated until it is as long, as is usual where
            it is not known how a model was trained. As it is, it costs less (`lab.evaluation.short_windows`).
    """

    normalize: bool
    repeat_short: bool


def image_preparation(processor: Mapping[str, Any]) -> ImagePreparation:
    """Reads an image processor's settings.

    Raises:
        UnsupportedModel: the processor does anything but resize, centre crop, rescale and normalise, or its output
            has no fixed size.
    """
    kind = str(processor.get("image_processor_type") or processor.get("feature_extractor_type") or "")
    stem = next((kind.removesuffix(suffix) for suffix in _SUFFIXES if kind.endswith(suffix)), kind)
    if stem not in _IMAGE_DEFAULTS:
        raise UnsupportedModel(
            f"image processor {kind or 'without a name'} is not supported; "
            f"supported are the ImageProcessors {', '.join(_IMAGE_DEFAULTS)}"
        )
    for step in _NEVER:
        if processor.get(step):
            raise UnsupportedModel(f"the image processor asks for {step}, which is not supported")
    given = {key: value for key, value in processor.items() if value is not None}
    defaults = _IMAGE_DEFAULTS[stem]
    settings = {**defaults, **given, "default_size": defaults["size"]}
    normalize = settings["do_normalize"]
    return ImagePreparation(
        geometry=_geometry(settings),
        rescale=float(settings["rescale_factor"]) if settings["do_rescale"] else 1.0,
        mean=_per_channel(settings["image_mean"]) if normalize else (0.0, 0.0, 0.0),
        std=_per_channel(settings["image_std"]) if normalize else (1.0, 1.0, 1.0),
    )


def voice_preparation(processor: Mapping[str, Any]) -> VoicePreparation:
    """Reads an audio feature extractor's settings.

    Raises:
        UnsupportedModel: the model does not take raw 16 kHz samples.
    """
    kind = processor.get("feature_extractor_type")
    if kind != "Wav2Vec2FeatureExtractor":
        raise UnsupportedModel(f"feature extractor {kind} is not supported; raw samples (Wav2Vec2FeatureExtractor) are")
    rate = processor.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise UnsupportedModel(f"the voice model listens at {rate} Hz, and only {SAMPLE_RATE} Hz is served")
    short = processor.get("short_windows", "repeated")
    if short not in ("as_is", "repeated"):
        raise UnsupportedModel(f"short_windows is {short!r}; it can be as_is or repeated")
    return VoicePreparation(normalize=bool(processor.get("do_normalize", True)), repeat_short=short == "repeated")


def _geometry(settings: Mapping[str, Any]) -> ImageGeometry:
    edge = resize_height = resize_width = crop_height = crop_width = None
    if settings["do_resize"]:
        edge, resize_height, resize_width = _resize(settings["size"], square="height" in settings["default_size"])
    if settings["do_center_crop"]:
        crop_height, crop_width = _height_width(settings["crop_size"])
    geometry = ImageGeometry(
        resize_shortest_edge=edge,
        resize_height=resize_height,
        resize_width=resize_width,
        crop_height=crop_height,
        crop_width=crop_width,
        resample=int(settings["resample"]),
    )
    if not geometry.height or not geometry.width:
        raise UnsupportedModel("the image processor does not lead to one fixed size")
    least_height, least_width = edge or resize_height or 0, edge or resize_width or 0
    if geometry.height > least_height or geometry.width > least_width:
        raise UnsupportedModel("the image processor crops more than it resizes to, which would pad photos with black")
    return geometry


def _resize(size: Any, *, square: bool) -> tuple[int | None, int | None, int | None]:
    """Shortest edge, height, width. A bare number, as old files have it, is a square only where that is the default."""
    if isinstance(size, Mapping) and set(size) == {"shortest_edge"}:
        return int(size["shortest_edge"]), None, None
    if isinstance(size, int) and not square:
        return size, None, None
    return None, *_height_width(size)


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and set(size) == {"height", "width"}:
        return int(size["height"]), int(size["width"])
    raise UnsupportedModel(f"the image processor's size {size!r} is not supported")


def _per_channel(values: Any) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != 3:
        raise UnsupportedModel("the image processor does not normalise three colour channels")
    return numbers

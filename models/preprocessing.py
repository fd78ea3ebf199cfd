"""Input preparation as given in a checkpoint's own processor file. Anything that is not supported is refused."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import UnsupportedModel
from models.features.reading import READERS, Features
from models.info import MAX_FACE_FACTOR, ImageGeometry

SAMPLE_RATE = 16_000
"""Samples per second that voice windows have; other rates are refused."""

_RAW_SAMPLES = "Wav2Vec2FeatureExtractor"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
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
    "Beit": {**_FIXED, "crop_size": {"height": 224, "width": 224}},
    "ConvNext": {**_SHARED, "size": {"shortest_edge": 384}, "crop_pct": 224 / 256},
    "DINOv3ViT": {**_FIXED, "resample": 2, "image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD},
    "EfficientNet": {**_SHARED, "size": {"height": 346, "width": 346}, "crop_size": {"height": 289, "width": 289},
                     "rescale_offset": False, "include_top": True},
    "MobileViT": {**_SHARED, "do_center_crop": True, "size": {"shortest_edge": 224},
                  "crop_size": {"height": 256, "width": 256}, "do_flip_channel_order": True},
    "TimmWrapper": _SHARED,
}  # fmt: skip
"""Defaults of transformers' processors for what the file omits, by the stem of their names."""
_SUFFIXES = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")
_NEVER = ("do_pad", "do_flip_channel_order", "do_thumbnail", "do_align_long_axis", "do_reduce_labels")
_HARMLESS = {"Beit": ("do_reduce_labels",), "MobileViT": ("do_reduce_labels", "do_flip_channel_order")}
"""Of these, what is understood or concerns no pictures, by processor."""
_CONVNEXT_SQUEEZES_FROM = 384
_MOST_PIXELS = 4096
_LARGEST = 1e30
_PILLOW_FILTERS = range(6)
"""Nearest, Lanczos, bilinear, bicubic, box, Hamming."""
_TIMM_FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}


@dataclass(frozen=True)
class ImagePreparation:
    """Geometry before the model, arithmetic inside it: `(pixel * rescale - mean) / std` per RGB channel.

    After it the channels are put in the order blue, green, red if `bgr`.
    """

    geometry: ImageGeometry
    rescale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False

    @property
    def arithmetic(self) -> tuple[float, tuple[float, ...], tuple[float, ...]]:
        """Factor, means and deviations."""
        return self.rescale, self.mean, self.std


@dataclass(frozen=True)
class VoicePreparation:
    """Preparation of a window of 16 kHz samples for a voice model.

    Attributes:
        normalize: whether it is brought to zero mean and unit variance.
        repeat_short: whether one that is shorter than a full one is repeated until it is as long, as is usual where
            it is not known how a model was trained. As it is, it costs less (`lab.evaluation.short_windows`).
        features: what the model takes in place of samples, if it does.
    """

    normalize: bool
    repeat_short: bool
    features: Features | None = None


def image_preparation(processor: Mapping[str, Any]) -> ImagePreparation:
    """Reads an image processor's settings.

    Raises:
        UnsupportedModel: the processor does anything but resize, centre crop, rescale and normalise, or its output
            has no fixed size.
    """
    kind = str(processor.get("image_processor_type") or processor.get("feature_extractor_type") or "")
    stem = next((kind.removesuffix(suffix) for suffix in _SUFFIXES if kind.endswith(suffix)), kind)
    if stem == "Siglip2":
        raise _refused(
            "Siglip2ImageProcessor cuts each photo into as many patches as its shape asks for (NaFlex), with a mask, "
            "and models of photos of one size are served: fine-tune from a SigLIP 2 for one size, such as "
            "google/siglip2-base-patch16-224, or export a module that cuts a square photo into patches itself"
        )
    if stem not in _IMAGE_DEFAULTS:
        raise _refused(
            f"image processor {kind or 'without a name'} is not supported; "
            f"supported are the ImageProcessors {', '.join(_IMAGE_DEFAULTS)}"
        )
    for step in _NEVER:
        if processor.get(step) and step not in _HARMLESS.get(stem, ()):
            raise _refused(f"the image processor asks for {step}, which is not supported")
    given = {key: value for key, value in processor.items() if value is not None}
    defaults = _IMAGE_DEFAULTS[stem]
    if stem == "TimmWrapper":
        given = _of_timm(given.get("pretrained_cfg"))
    settings = {**defaults, **given, "default_size": defaults.get("size", {})}
    if stem == "ConvNext":
        settings |= _of_convnext(settings)
    mean, std = _mean_and_std(stem, settings)
    return ImagePreparation(
        geometry=_geometry(settings),
        rescale=_above_0("rescale_factor", settings["rescale_factor"]) if settings["do_rescale"] else 1.0,
        mean=mean,
        std=std,
        bgr=stem == "MobileViT" and bool(settings["do_flip_channel_order"]),
    )


def _mean_and_std(stem: str, settings: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What is subtracted from rescaled pixels, and what they are divided by then."""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    if stem == "MobileViT":  # it never normalises, whatever its file says
        return mean, std
    if settings["do_normalize"]:
        mean, std = _per_channel(settings["image_mean"]), _spread(settings["image_std"])
    if stem == "EfficientNet":
        if settings["rescale_offset"] and settings["do_rescale"]:
            mean = tuple(value + 1.0 for value in mean)
        if settings["include_top"]:  # it divides once more
            std = tuple(a * b for a, b in zip(std, _spread(settings["image_std"]), strict=True))
    return mean, std


def _of_convnext(settings: Mapping[str, Any]) -> dict[str, Any]:
    """ConvNeXT's resize in the words of the others: a share of a larger picture, or the whole one squeezed."""
    if settings["do_center_crop"]:
        raise _refused("the image processor asks for do_center_crop, which ConvNeXT's is not supported with")
    if not settings["do_resize"]:
        return {}
    edge, _, _ = _resize(settings["size"], square=False)
    if edge is None:
        raise _refused(f"the image processor's size {settings['size']!r} is not supported")
    square = {"height": edge, "width": edge}
    if edge >= _CONVNEXT_SQUEEZES_FROM:
        return {"size": square}
    larger = int(edge / _above_0("crop_pct", settings["crop_pct"]))
    return {"size": {"shortest_edge": larger}, "do_center_crop": True, "crop_size": square}


def _of_timm(config: Any) -> dict[str, Any]:
    """The `pretrained_cfg` of timm in the words of transformers' processors, as `timm.data` reads it."""
    if not isinstance(config, Mapping):
        raise _refused("the checkpoint holds no pretrained_cfg of timm, so its preparation of photos is unknown")
    size = config.get("input_size") or (3, 224, 224)
    if not isinstance(size, list | tuple) or len(size) != 3:
        raise _refused(f"timm's input_size {size!r} is not supported")
    channels, height, width = size[0], *(_pixels("input_size", edge) for edge in size[1:])
    mode, name = config.get("crop_mode") or "center", str(config.get("interpolation") or "bicubic")
    if channels != 3 or name not in _TIMM_FILTERS or mode not in ("center", "squash"):
        raise _refused(
            f"timm's preparation of photos (input_size {channels} x {height} x {width}, interpolation {name}, "
            f"crop_mode {mode}) is not supported; supported are three channels, the crop modes center and squash, "
            f"and the filters {', '.join(_TIMM_FILTERS)}"
        )
    share = _above_0("crop_pct", config.get("crop_pct") or 0.875)
    larger = [math.floor(edge / share) for edge in (height, width)]
    if mode == "center" and height != width:
        raise _refused("timm's crop mode center is supported for squares only")
    resized = {"height": larger[0], "width": larger[1]} if mode == "squash" else {"shortest_edge": larger[0]}
    return {
        "size": resized,
        "do_center_crop": True,
        "crop_size": {"height": height, "width": width},
        "crop_half_to_even": True,
        "resample": _TIMM_FILTERS[name],
        "image_mean": config.get("mean") or IMAGENET_MEAN,
        "image_std": config.get("std") or IMAGENET_STD,
    }


def voice_preparation(processor: Mapping[str, Any], config: Mapping[str, Any]) -> VoicePreparation:
    """Reads an audio feature extractor's settings.

    Args:
        processor: the settings.
        config: `config.json`, which they must fit.

    Raises:
        UnsupportedModel: the model takes other input than can be made of 16 kHz samples here.
        CheckpointMismatch: the two contradict each other.
    """
    kind = str(processor.get("feature_extractor_type") or "without a name")
    if kind != _RAW_SAMPLES and kind not in READERS:
        raise UnsupportedModel(
            f"feature extractor {kind} is not supported; {', '.join([_RAW_SAMPLES, *READERS])} are. Ways: fine-tune "
            "from a checkpoint with one of these, or export the model, its features included, to ONNX (docs/models.md)"
        )
    rate = processor.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise UnsupportedModel(
            f"the voice model listens at {rate} Hz, and only {SAMPLE_RATE} Hz is served: export it to ONNX with a "
            "resampling in front (docs/models.md), or fine-tune from a checkpoint of this rate"
        )
    features = READERS[kind](processor, config) if kind in READERS else None
    # Where the extractor itself puts silence after what is short, models were trained with that.
    silence = features is not None and features.most_samples is not None
    short = processor.get("short_windows", "as_is" if silence else "repeated")
    if short not in ("as_is", "repeated"):
        raise UnsupportedModel(f"short_windows is {short!r}; correct it to as_is or repeated")
    return VoicePreparation(
        normalize=features is None and bool(processor.get("do_normalize", True)),
        repeat_short=short == "repeated",
        features=features,
    )


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
        resample=_resample(settings["resample"]),
        face_factor=_face_factor(settings.get("face_factor")),
        crop_half_to_even=bool(settings.get("crop_half_to_even", False)),
    )
    if not geometry.height or not geometry.width:
        raise _refused("the image processor does not lead to one fixed size")
    least_height, least_width = edge or resize_height or 0, edge or resize_width or 0
    if geometry.height > least_height or geometry.width > least_width:
        raise _refused("the image processor crops more than it resizes to, which would pad photos with black")
    return geometry


def _face_factor(given: Any) -> float | None:
    """What the face's box is enlarged by, which no processor of transformers knows; without it, as is configured."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 1 <= given <= MAX_FACE_FACTOR:
        raise _refused(f"face_factor is {given!r}, where a number of 1 to {MAX_FACE_FACTOR:g} is needed")
    return float(given)


def _resize(size: Any, *, square: bool) -> tuple[int | None, int | None, int | None]:
    """Shortest edge, height, width. A bare number, as old files have it, is a square only where that is the default."""
    if isinstance(size, Mapping) and set(size) == {"shortest_edge"}:
        return _pixels("size", size["shortest_edge"]), None, None
    if isinstance(size, int) and not square:
        return _pixels("size", size), None, None
    return None, *_height_width(size)


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return _pixels("size", size), size
    if isinstance(size, Mapping) and set(size) == {"height", "width"}:
        return _pixels("height", size["height"]), _pixels("width", size["width"])
    raise _refused(f"the image processor's size {size!r} is not supported")


def _per_channel(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list | tuple) or len(values) != 3 or not all(map(_is_finite, values)):
        raise _refused(f"the image processor does not normalise three colour channels, but by {values!r:.100}")
    return tuple(float(value) for value in values)


def _spread(values: Any) -> tuple[float, ...]:
    """What channels are divided by: below 0 would turn a picture into its negative, 0 leaves nothing of it."""
    return tuple(_above_0("image_std", value) for value in _per_channel(values))


def _above_0(name: str, value: Any) -> float:
    if not _is_finite(value) or not value > 0:
        raise _refused(f"the image processor's {name} is {value!r:.100}, where a number above 0 is needed")
    return float(value)


def _pixels(name: str, value: Any) -> int:
    if not _is_finite(value) or value != int(value) or not 0 < value <= _MOST_PIXELS:
        raise _refused(f"the image processor's {name} is {value!r:.100}, where 1 to {_MOST_PIXELS} pixels are needed")
    return int(value)


def _resample(value: Any) -> int:
    if not _is_finite(value) or value not in _PILLOW_FILTERS:
        raise _refused(f"the image processor's resample is {value!r:.100}, which is no filter of Pillow's")
    return int(value)


def _is_finite(value: Any) -> bool:
    """Whether a value of a JSON file is a number that single precision holds."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= _LARGEST


def _refused(sentence: str) -> UnsupportedModel:
    """The error with the ways that there are for every model of photos."""
    return UnsupportedModel(
        f"{sentence}. Ways: correct the processor's file if the model was trained otherwise, or export the model to "
        "ONNX with a manifest (docs/models.md)"
    )

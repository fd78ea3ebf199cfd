"""How a checkpoint's input is prepared where it holds no processor file: as its family's published checkpoints are."""

from collections.abc import Mapping
from typing import Any

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_RAW_SAMPLES = (
    *("wav2vec2", "wav2vec2-conformer", "wavlm", "hubert", "unispeech", "unispeech-sat", "data2vec-audio", "sew"),
)
_PLAIN_WHERE_BASE = ("wavlm", "unispeech-sat")
"""Families whose base models (`feat_extract_norm` is `group`) were trained on samples as they are."""


def default_processor(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The processor's settings for a checkpoint of this `config.json`; None: its family has no usual ones."""
    if "pretrained_cfg" in config:  # timm's own files have it in place of a processor file
        return {"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": config["pretrained_cfg"]}
    kind = str(config.get("model_type", ""))
    return _for_voices(kind, config) or _for_photos(kind, config)


def _for_voices(kind: str, config: Mapping[str, Any]) -> dict[str, Any] | None:
    if kind in _RAW_SAMPLES:
        plain = kind in _PLAIN_WHERE_BASE and config.get("feat_extract_norm", "group") == "group"
        return _extractor("Wav2Vec2FeatureExtractor", do_normalize=not plain)
    if kind == "audio-spectrogram-transformer":
        size = {"num_mel_bins": config.get("num_mel_bins", 128), "max_length": config.get("max_length", 1024)}
        return _extractor("ASTFeatureExtractor", mean=-4.2677393, std=4.5689974, **size)
    if kind == "whisper":
        return _extractor("WhisperFeatureExtractor", feature_size=config.get("num_mel_bins", 80), chunk_length=30)
    if kind == "wav2vec2-bert":
        return _extractor("SeamlessM4TFeatureExtractor", num_mel_bins=80, stride=2)
    return None


def _extractor(kind: str, **settings: Any) -> dict[str, Any]:
    return {"feature_extractor_type": kind, "sampling_rate": 16_000, **settings}


def _for_photos(kind: str, config: Mapping[str, Any]) -> dict[str, Any] | None:
    vision = config.get("vision_config")
    side = (vision if isinstance(vision, Mapping) else config).get("image_size")
    edge = side if isinstance(side, int) else 224
    square = _square(edge)
    found: dict[str, dict[str, Any]] = {
        "beit": _image_processor("Beit", size=square, do_center_crop=False, resample=2, **_HALF),
        "clip": _image_processor("CLIP", size={"shortest_edge": edge}, crop_size=square),
        "convnext": _image_processor("ConvNext", size={"shortest_edge": 224}, crop_pct=0.875, resample=3, **_IMAGENET),
        "deit": _image_processor("DeiT", size=_square(edge * 8 // 7), crop_size=square, resample=3, **_IMAGENET),
        "dinov2": _image_processor("Bit", size={"shortest_edge": 256}, crop_size=_square(224), resample=3, **_IMAGENET),
        "dinov3_vit": _image_processor("DINOv3ViT", size=_square(224), resample=2, **_IMAGENET),
        "efficientnet": _image_processor("EfficientNet", size=square, resample=0, image_mean=_IMAGENET["image_mean"],
                              image_std=[0.47853944, 0.4732864, 0.47434163]),
        "mobilevit": _image_processor("MobileViT", size={"shortest_edge": edge + 32}, crop_size=square, resample=2),
        "siglip": _image_processor("Siglip", size=square, resample=3, **_HALF),
        "vit": _image_processor("ViT", size=square, resample=2, **_HALF),
    }  # fmt: skip
    found |= {"convnextv2": found["convnext"], "dinov2_with_registers": found["dinov2"]}
    return found.get(kind)


def _image_processor(stem: str, **settings: Any) -> dict[str, Any]:
    return {"image_processor_type": f"{stem}ImageProcessor", **settings}


def _square(edge: int) -> dict[str, int]:
    return {"height": edge, "width": edge}

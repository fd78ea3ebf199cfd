from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Wav2Vec2FeatureExtractor
from transformers.image_processing_backends import PilBackend
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil
from transformers.models.mobilevit.image_processing_pil_mobilevit import MobileViTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from models.errors import UnsupportedModel
from models.graph import PrepareImage, PrepareVoice
from models.info import ImageGeometry
from models.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImagePreparation,
    image_preparation,
    voice_preparation,
)
from tests.models.checkpoints import apply, photos, windows

DINOV2_FILE: dict[str, Any] = {
    "image_processor_type": "BitImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 0.00392156862745098,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


@pytest.mark.parametrize(
    "processor",
    [
        BitImageProcessorPil(**{key: value for key, value in DINOV2_FILE.items() if key != "image_processor_type"}),
        BitImageProcessorPil(size={"shortest_edge": 112}, crop_size={"height": 112, "width": 112}),
        BitImageProcessorPil(),
        ViTImageProcessorPil(),
        ViTImageProcessorPil(size={"height": 112, "width": 96}, resample=3, do_normalize=False),
        CLIPImageProcessorPil(),
        DeiTImageProcessorPil(),
        SiglipImageProcessorPil(),
        BitImageProcessorPil(do_rescale=False, do_normalize=False),
        BeitImageProcessorPil(),
        BeitImageProcessorPil(do_center_crop=True, size={"height": 256, "width": 256}, do_reduce_labels=True),
        ConvNextImageProcessorPil(),
        ConvNextImageProcessorPil(size={"shortest_edge": 224}),
        ConvNextImageProcessorPil(size={"shortest_edge": 101}, crop_pct=0.95, resample=2),
        EfficientNetImageProcessorPil(),
        EfficientNetImageProcessorPil(
            size={"height": 100, "width": 90},
            resample=0,
            rescale_offset=True,
            rescale_factor=1 / 127.5,
            image_std=[0.4785, 0.4732, 0.4743],
        ),
        EfficientNetImageProcessorPil(do_center_crop=True, include_top=False, do_normalize=False),
        MobileViTImageProcessorPil(size={"shortest_edge": 288}),
        MobileViTImageProcessorPil(
            size={"shortest_edge": 144},
            crop_size={"height": 128, "width": 128},
            do_flip_channel_order=False,
            do_normalize=True,
            do_reduce_labels=True,
        ),
    ],
    ids=lambda processor: type(processor).__name__,
)
@pytest.mark.parametrize("size", [(300, 260), (201, 333), (112, 112), (63, 499)])
def test_the_same_pixels_as_transformers(processor: PilBackend, size: tuple[int, int], tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    preparation = image_preparation(_saved(tmp_path))
    prepare = PrepareImage(*preparation.arithmetic, bgr=preparation.bgr)
    for photo in photos(*size)[:3]:
        expected = processor(Image.fromarray(photo), return_tensors="pt")["pixel_values"].float()
        got = prepare(torch.from_numpy(apply(preparation.geometry, photo).copy())[None])
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("kind", ["Bit", "CLIP", "ViT", "DeiT", "Siglip", "Beit", "ConvNext", "EfficientNet"])
def test_defaults_where_the_file_is_silent_are_those_of_transformers(kind: str) -> None:
    classes = {"Bit": BitImageProcessorPil, "CLIP": CLIPImageProcessorPil, "ViT": ViTImageProcessorPil,
               "DeiT": DeiTImageProcessorPil, "Siglip": SiglipImageProcessorPil, "Beit": BeitImageProcessorPil,
               "ConvNext": ConvNextImageProcessorPil, "EfficientNet": EfficientNetImageProcessorPil}  # fmt: skip
    full = classes[kind]().to_dict()
    said = {key: value for key, value in full.items() if key != "image_processor_type"}
    assert image_preparation({"image_processor_type": f"{kind}ImageProcessor"}) == image_preparation(
        {"image_processor_type": f"{kind}ImageProcessor", **said}
    )


def test_crops_to_112_or_224_as_the_file_says() -> None:
    assert image_preparation(DINOV2_FILE).geometry == ImageGeometry(256, None, None, 224, 224, 3)
    smaller = {**DINOV2_FILE, "size": {"shortest_edge": 128}, "crop_size": {"height": 112, "width": 112}}
    assert image_preparation(smaller).geometry == ImageGeometry(128, None, None, 112, 112, 3)


@pytest.mark.parametrize(
    ("file", "geometry"),
    [
        ({"feature_extractor_type": "ViTFeatureExtractor", "size": 384}, ImageGeometry(None, 384, 384, None, None, 2)),
        (
            {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224},
            ImageGeometry(224, None, None, 224, 224, 3),
        ),
        (
            {"image_processor_type": "ViTImageProcessorFast", "do_center_crop": None},
            ImageGeometry(None, 224, 224, None, None, 2),
        ),
    ],
)  # fmt: skip
def test_older_and_newer_spellings(file: dict[str, Any], geometry: ImageGeometry) -> None:
    assert image_preparation(file).geometry == geometry


@pytest.mark.parametrize(
    "change",
    [
        {"image_processor_type": "ConvNextImageProcessor"},  # with a crop of its own besides
        {"image_processor_type": "Siglip2ImageProcessor"},
        {"image_processor_type": "MobileViTImageProcessor", "size": None, "crop_size": None},  # it crops 256 of 224
        {"image_processor_type": "PvtImageProcessor"},
        {"image_processor_type": "TimmWrapperImageProcessor"},
        {"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": {"crop_mode": "border"}},
        {"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": {"input_size": [1, 28, 28]}},
        {"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": {"input_size": [3, 28, 30]}},
        {"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": {"interpolation": "random"}},
        {"image_processor_type": None},
        {"size": {"longest_edge": 224}},
        {"size": {"shortest_edge": 200}},  # smaller than the crop: photos would get black borders
        {"do_resize": False},
        {"do_center_crop": False},  # no fixed size
        {"do_pad": True},
        {"do_flip_channel_order": True},
        {"image_mean": [0.5]},
        {"image_mean": 0.5},
        {"image_mean": ["x", 0, 0]},
        {"image_mean": [float("nan"), 0, 0]},
        {"image_std": [0.2, 0, 0.2]},  # nothing would be left of green
        {"image_std": [-0.2, -0.2, -0.2]},  # the negative of the picture
        {"rescale_factor": "x"},
        {"rescale_factor": 10**400},
        {"resample": 77},
        {"resample": []},
        {"size": {"shortest_edge": "x"}},
        {"crop_size": {"height": None, "width": 224}},
        {"crop_size": {"height": float("inf"), "width": 224}},
        {"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": {"input_size": [3, "x", 28]}},
        {"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": {"input_size": 224}},
        {"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": {"crop_pct": -1}},
    ],
)
def test_what_is_not_understood_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel):
        image_preparation({**DINOV2_FILE, **change})


@pytest.mark.parametrize("size", [(301, 259), (64, 500), (225, 225)])
def test_dinov3_resizes_in_fractions_so_that_pixels_are_equal_to_rounding(size: tuple[int, int]) -> None:
    preparation = image_preparation({"image_processor_type": "DINOv3ViTImageProcessor"})
    prepare = PrepareImage(*preparation.arithmetic)
    for photo in photos(*size)[:4]:
        planes = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
        resized = torch.nn.functional.interpolate(planes, (224, 224), mode="bilinear", antialias=True)
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
        got = prepare(torch.from_numpy(apply(preparation.geometry, photo).copy())[None])
        assert float((got * std + mean - resized).abs().max()) < 1.01 / 255


def test_dinov3s_own_processor_resizes_in_fractions() -> None:
    pytest.importorskip("torchvision", reason="transformers has DINOv3's processor with torchvision only")
    from transformers import DINOv3ViTImageProcessor

    preparation = image_preparation({"image_processor_type": "DINOv3ViTImageProcessor"})
    processor: Any = DINOv3ViTImageProcessor()
    for photo in photos(301, 259):
        got = PrepareImage(*preparation.arithmetic)(torch.from_numpy(apply(preparation.geometry, photo).copy())[None])
        difference = (got - processor(photo, return_tensors="pt")["pixel_values"]).abs().max()
        assert float(difference) < 1.01 / 255 / min(IMAGENET_STD)


@pytest.mark.parametrize("size", [(301, 259), (64, 500), (225, 225), (226, 231)])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.9, "mean": [0.5] * 3, "std": [0.5] * 3},
        {"input_size": [3, 56, 56], "interpolation": "bilinear", "crop_pct": 0.95},
        {"input_size": [3, 50, 60], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "squash"},
        {"input_size": [3, 56, 56], "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "squash"},
        {"input_size": [3, 65, 65], "interpolation": "nearest", "crop_pct": 0.94},
    ],
)
def test_the_same_pixels_as_timm(config: dict[str, Any], size: tuple[int, int]) -> None:
    data = pytest.importorskip("timm", reason="timm is not among the service's dependencies").data
    preparation = image_preparation({"image_processor_type": "TimmWrapperImageProcessor", "pretrained_cfg": config})
    transform = data.create_transform(**data.resolve_data_config(pretrained_cfg={"mean": None, **config}))
    prepare = PrepareImage(*preparation.arithmetic)
    for photo in photos(*size)[:3]:
        got = prepare(torch.from_numpy(apply(preparation.geometry, photo).copy())[None])
        torch.testing.assert_close(got[0], transform(Image.fromarray(photo)), rtol=1e-5, atol=2e-5)


def test_timm_without_timm() -> None:
    """What `test_the_same_pixels_as_timm` compares where timm is there."""
    kind = {"image_processor_type": "TimmWrapperImageProcessor"}
    full = {
        "input_size": [3, 224, 224],
        "interpolation": "bilinear",
        "crop_pct": 0.9,
        "mean": [0.5] * 3,
        "std": [0.2] * 3,
    }
    assert image_preparation({**kind, "pretrained_cfg": full}) == ImagePreparation(
        ImageGeometry(248, None, None, 224, 224, 2, crop_half_to_even=True), 1 / 255, (0.5,) * 3, (0.2,) * 3
    )
    squashed = image_preparation({**kind, "pretrained_cfg": {**full, "crop_mode": "squash", "crop_pct": 1.0}})
    assert squashed.geometry == ImageGeometry(None, 224, 224, 224, 224, 2, crop_half_to_even=True)
    assert image_preparation({**kind, "pretrained_cfg": {"x": 1}}) == ImagePreparation(
        ImageGeometry(256, None, None, 224, 224, 3, crop_half_to_even=True), 1 / 255, IMAGENET_MEAN, IMAGENET_STD
    )


@pytest.mark.parametrize("normalize", [True, False])
def test_the_same_samples_as_transformers(normalize: bool, tmp_path: Path) -> None:
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalize)  # type: ignore[no-untyped-call]
    extractor.save_pretrained(tmp_path)
    preparation = voice_preparation(_saved(tmp_path), {})
    assert preparation.normalize is normalize
    for window in [*windows(16_000), np.zeros(16_000, np.int16), np.full(16_000, -32768, np.int16)]:
        expected = extractor(window.astype(np.float32) / 32768, sampling_rate=16_000, return_tensors="pt")[
            "input_values"
        ]
        got = PrepareVoice(normalize)(torch.from_numpy(window)[None])
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "file",
    [
        {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 8000},
        {"feature_extractor_type": "ASTFeatureExtractor", "sampling_rate": 44100},
        {"feature_extractor_type": "WhisperFeatureExtractor", "short_windows": "random"},
        {"feature_extractor_type": "ClapFeatureExtractor"},
        {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "short_windows": "padded"},
        DINOV2_FILE,
    ],
)
def test_other_ears_are_refused(file: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel):
        voice_preparation(file, {})


def _saved(folder: Path) -> dict[str, Any]:
    import json

    content: dict[str, Any] = json.loads((folder / "preprocessor_config.json").read_text())
    return content

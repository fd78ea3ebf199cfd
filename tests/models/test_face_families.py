"""Image classifiers of other families: a small random one of each, through both engines, against transformers."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    BeitConfig,
    BeitForImageClassification,
    ConvNextConfig,
    ConvNextForImageClassification,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersForImageClassification,
    EfficientNetConfig,
    EfficientNetForImageClassification,
    MobileViTConfig,
    MobileViTForImageClassification,
    PreTrainedModel,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipVisionConfig,
)
from transformers.image_processing_backends import PilBackend
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil
from transformers.models.mobilevit.image_processing_pil_mobilevit import MobileViTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from bonafide.photo.image import prepare
from models.errors import AmbiguousLabels, UnsupportedModel
from models.face_model import FaceSpoofModel
from tests.models.checkpoints import options, photos, plain_face_scores, save_face


@dataclass(frozen=True)
class Family:
    model_class: type[PreTrainedModel]
    config_class: Any
    processor: PilBackend
    config: dict[str, Any] = field(default_factory=dict)


_LAYERS: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
FAMILIES = {
    "beit": Family(
        BeitForImageClassification,
        BeitConfig,
        BeitImageProcessorPil(size={"height": 48, "width": 48}),
        {**_LAYERS, "image_size": 48, "patch_size": 16, "use_relative_position_bias": True},
    ),
    "convnext": Family(
        ConvNextForImageClassification,
        ConvNextConfig,
        ConvNextImageProcessorPil(size={"shortest_edge": 64}),
        {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "image_size": 64},
    ),
    "dinov2 with registers": Family(
        Dinov2WithRegistersForImageClassification,
        Dinov2WithRegistersConfig,
        BitImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56}),
        {**_LAYERS, "image_size": 70, "patch_size": 14},
    ),
    "efficientnet": Family(
        EfficientNetForImageClassification,
        EfficientNetConfig,
        EfficientNetImageProcessorPil(size={"height": 64, "width": 64}, resample=0),
        {"image_size": 64, "width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 320},
    ),
    "mobilevit": Family(
        MobileViTForImageClassification,
        MobileViTConfig,
        MobileViTImageProcessorPil(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
        {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32], "image_size": 64,
         "num_attention_heads": 2},
    ),
    "siglip 2 of one size": Family(
        SiglipForImageClassification,
        SiglipConfig,
        SiglipImageProcessorPil(size={"height": 48, "width": 48}),
        {"vision_config": SiglipVisionConfig(**_LAYERS, image_size=48, patch_size=16).to_dict()},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_scores_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    folder = save_face(
        tmp_path / "m",
        ["Real", "Fake"],
        processor=family.processor,
        model_class=family.model_class,
        config_class=family.config_class,
        convolutions=name in ("efficientnet", "mobilevit"),
        **family.config,
    )
    expected = plain_face_scores(folder, photos(141, 119), 1, type(family.processor))
    assert expected.std() > 0.05
    for engine in ("torch", "openvino"):
        detector = FaceSpoofModel.load(str(folder), options(tmp_path, engine=engine, precision="fp32"))
        assert detector.info.geometry is not None
        items = [prepare(Image.fromarray(photo), detector.info.geometry) for photo in photos(141, 119)]
        np.testing.assert_allclose(detector.score(items), expected, atol=3e-4)


@pytest.mark.parametrize("name", ["dinov2 with registers", "beit"])
def test_a_mask_of_training_may_be_missing(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    folder = save_face(
        tmp_path / "m",
        ["Real", "Fake"],
        processor=family.processor,
        model_class=family.model_class,
        config_class=family.config_class,
        **family.config,
        **({"use_mask_token": True} if name == "beit" else {}),
    )
    weights = load_file(folder / "model.safetensors")
    masks = [key for key in weights if key.endswith("mask_token")]
    if name != "beit":  # whose classifier has none
        assert masks
    save_file({key: value for key, value in weights.items() if key not in masks}, folder / "model.safetensors")
    FaceSpoofModel.load(str(folder), options(tmp_path, engine="torch", precision="fp32"))


def timm_folder(folder: Path, **more: Any) -> Path:
    """A folder as timm writes it, without its weights."""
    folder.mkdir()
    config = {
        "architecture": "resnet18",
        "num_classes": 2,
        "label_names": ["live", "spoof"],
        "pretrained_cfg": {"input_size": [3, 64, 64], "interpolation": "bilinear", "crop_pct": 0.9, "num_classes": 2},
    }
    (folder / "config.json").write_text(json.dumps({**config, **more}))
    return folder


def test_timm_models_need_names_of_their_classes(tmp_path: Path) -> None:
    folder = timm_folder(tmp_path / "m", label_names=None)
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(AmbiguousLabels, match="label_names"):
        FaceSpoofModel.load(str(folder), options(tmp_path))


def test_timm_models_where_timm_is_missing_say_so(tmp_path: Path) -> None:
    try:
        import timm  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("timm is installed")
    folder = timm_folder(tmp_path / "m")
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(UnsupportedModel, match="pip install timm"):
        FaceSpoofModel.load(str(folder), options(tmp_path, engine="torch"))


def test_timm_models(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm is not among the service's dependencies")
    folder = timm_folder(tmp_path / "m")
    torch.manual_seed(0)
    model = timm.create_model("resnet18", num_classes=2).eval()
    with torch.inference_mode():
        model.fc.weight.mul_(20)
    save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    transform = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=config))
    with torch.inference_mode():
        logits = model(torch.stack([transform(Image.fromarray(photo)) for photo in photos(141, 119)]))
    expected = torch.softmax(logits, -1)[:, 1].numpy()
    for engine in ("torch", "openvino"):
        detector = FaceSpoofModel.load(str(folder), options(tmp_path, engine=engine, precision="fp32"))
        assert detector.info.geometry is not None
        items = [prepare(Image.fromarray(photo), detector.info.geometry) for photo in photos(141, 119)]
        np.testing.assert_allclose(detector.score(items), expected, atol=3e-4)

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Wav2Vec2FeatureExtractor
from transformers.image_processing_backends import PilBackend
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from models.errors import UnsupportedModel
from models.graph import PrepareImage, PrepareVoice
from models.info import ImageGeometry
from models.preprocessing import image_preparation, voice_preparation
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
    ],
    ids=lambda processor: type(processor).__name__,
)
@pytest.mark.parametrize("size", [(300, 260), (200, 333), (112, 112), (64, 500)])
def test_the_same_pixels_as_transformers(processor: PilBackend, size: tuple[int, int], tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    preparation = image_preparation(_saved(tmp_path))
    prepare = PrepareImage(preparation.rescale, preparation.mean, preparation.std)
    for photo in photos(*size)[:3]:
        expected = processor(Image.fromarray(photo), return_tensors="pt")["pixel_values"].float()
        got = prepare(torch.from_numpy(apply(preparation.geometry, photo).copy())[None])
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("kind", ["Bit", "CLIP", "ViT", "DeiT", "Siglip"])
def test_defaults_where_the_file_is_silent_are_those_of_transformers(kind: str) -> None:
    classes = {"Bit": BitImageProcessorPil, "CLIP": CLIPImageProcessorPil, "ViT": ViTImageProcessorPil,
               "DeiT": DeiTImageProcessorPil, "Siglip": SiglipImageProcessorPil}  # fmt: skip
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
        {"image_processor_type": "ConvNextImageProcessor"},
        {"image_processor_type": None},
        {"size": {"longest_edge": 224}},
        {"size": {"shortest_edge": 200}},  # smaller than the crop: photos would get black borders
        {"do_resize": False},
        {"do_center_crop": False},  # no fixed size
        {"do_pad": True},
        {"do_flip_channel_order": True},
        {"image_mean": [0.5]},
    ],
)
def test_what_is_not_understood_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel):
        image_preparation({**DINOV2_FILE, **change})


@pytest.mark.parametrize("normalize", [True, False])
def test_the_same_samples_as_transformers(normalize: bool, tmp_path: Path) -> None:
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalize)  # type: ignore[no-untyped-call]
    extractor.save_pretrained(tmp_path)
    preparation = voice_preparation(_saved(tmp_path))
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
        {"feature_extractor_type": "ASTFeatureExtractor", "sampling_rate": 16000},
        {"feature_extractor_type": "WhisperFeatureExtractor"},
        {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "short_windows": "padded"},
        DINOV2_FILE,
    ],
)
def test_other_ears_are_refused(file: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel):
        voice_preparation(file)


def _saved(folder: Path) -> dict[str, Any]:
    import json

    content: dict[str, Any] = json.loads((folder / "preprocessor_config.json").read_text())
    return content

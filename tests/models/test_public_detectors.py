"""Public detectors by name: random weights of their architecture at a small size, under their class names.

It shows that such a file loads, and which of its classes is taken for spoof; not how good the published weights are.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipVisionConfig,
    SwinConfig,
    SwinForImageClassification,
    Swinv2Config,
    Swinv2ForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    Wav2Vec2Config,
    Wav2Vec2ForSequenceClassification,
    WavLMConfig,
    WavLMForSequenceClassification,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from bonafide.photo.image import prepare
from models.face_model import FaceSpoofModel
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import (
    TINY_WAVE,
    options,
    photos,
    plain_face_scores,
    plain_voice_scores,
    save_face,
    save_voice,
    windows,
)
from tests.models.feature_checkpoints import plain_features_scores, save_features_voice

_WAV2VEC2: tuple[Any, Any, dict[str, Any]] = (Wav2Vec2ForSequenceClassification, Wav2Vec2Config, {})
_XLS_R = (
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Config,
    {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True},
)
_SQUARE = {"height": 64, "width": 64}
_LAYERS: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
_VIT = (ViTForImageClassification, ViTConfig, {**_LAYERS, "image_size": 64, "patch_size": 16})
_WINDOWED = {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4, "image_size": 64}
_SIGLIP = (
    SiglipForImageClassification,
    SiglipConfig,
    {"vision_config": SiglipVisionConfig(**_LAYERS, image_size=64, patch_size=16).to_dict()},
)

VOICES: dict[str, tuple[Any, list[str], int]] = {
    "Gustking/wav2vec2-large-xlsr-deepfake-audio-classification": (_XLS_R, ["real", "fake"], 1),
    "garystafford/wav2vec2-deepfake-voice-detector": (_XLS_R, ["real", "fake"], 1),
    "MelodyMachine/Deepfake-audio-detection-V2": (_WAV2VEC2, ["fake", "real"], 0),
    "mo-thecreator/Deepfake-audio-detection": (_WAV2VEC2, ["fake", "real"], 0),
    "Hemgg/Deepfake-audio-detection": (_WAV2VEC2, ["AIVoice", "HumanVoice"], 0),
    "abhishtagatya/wavlm-base-960h-itw-deepfake": (
        (WavLMForSequenceClassification, WavLMConfig, {}),
        ["bona-fide", "spoof"],
        1,
    ),
    "abhishtagatya/hubert-base-960h-itw-deepfake": (
        (HubertForSequenceClassification, HubertConfig, {}),
        ["bona-fide", "spoof"],
        1,
    ),
}
FACES: dict[str, tuple[Any, list[str], int]] = {
    "dima806/deepfake_vs_real_image_detection": (_VIT, ["Real", "Fake"], 1),
    "Wvolf/ViT_Deepfake_Detection": (_VIT, ["Real", "Fake"], 1),
    "prithivMLmods/Deep-Fake-Detector-v2-Model": (_VIT, ["Realism", "Deepfake"], 1),
    "prithivMLmods/Deepfake-Detect-Siglip2": (_SIGLIP, ["Fake", "Real"], 0),
    "Ateeqq/ai-vs-human-image-detector": (_SIGLIP, ["ai", "hum"], 0),
    "umm-maybe/AI-image-detector": ((SwinForImageClassification, SwinConfig, _WINDOWED), ["artificial", "human"], 0),
    "Organika/sdxl-detector": ((SwinForImageClassification, SwinConfig, _WINDOWED), ["artificial", "human"], 0),
    "haywoodsloan/ai-image-detector-deploy": (
        (Swinv2ForImageClassification, Swinv2Config, _WINDOWED),
        ["artificial", "real"],
        0,
    ),
}

CONVERTED = ("Organika/sdxl-detector", "haywoodsloan/ai-image-detector-deploy")
"""Families that no other test converts."""


@pytest.mark.parametrize("name", VOICES)
def test_voices(name: str, tmp_path: Path) -> None:
    (model_class, config_class, config), labels, spoof = VOICES[name]
    folder = save_voice(
        tmp_path / "m",
        labels,
        normalize=True,
        model_class=model_class,
        config_class=config_class,
        **{**TINY_WAVE, **config},
    )
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path, engine="torch", precision="fp32"))
    assert detector.info.spoof_index == spoof
    items = windows(16_000)
    np.testing.assert_allclose(detector.score(items), plain_voice_scores(folder, items, spoof), atol=1e-4)


@pytest.mark.parametrize("name", ["MattyB95/AST-ASVspoof5-Synthetic-Voice-Detection"])
def test_voices_on_features(name: str, tmp_path: Path) -> None:
    folder = save_features_voice(tmp_path / "m", "ast", labels=["Bonafide", "Spoof"])
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path, engine="torch", precision="fp32"))
    assert detector.info.spoof_index == 1
    np.testing.assert_allclose(detector.score(windows()), plain_features_scores(folder, windows()), atol=1e-3)


@pytest.mark.parametrize("name", FACES)
def test_faces(name: str, tmp_path: Path) -> None:
    (model_class, config_class, config), labels, spoof = FACES[name]
    processor = (SiglipImageProcessorPil if model_class is SiglipForImageClassification else ViTImageProcessorPil)(
        size=_SQUARE
    )
    folder = save_face(
        tmp_path / "m", labels, processor=processor, model_class=model_class, config_class=config_class, **config
    )
    expected = plain_face_scores(folder, photos(141, 119), spoof, type(processor))
    for engine in ("torch", "openvino") if name in CONVERTED else ("torch",):
        detector = FaceSpoofModel.load(str(folder), options(tmp_path, engine=engine, precision="fp32"))
        assert detector.info.spoof_index == spoof
        assert detector.info.geometry is not None
        items = [prepare(Image.fromarray(photo), detector.info.geometry) for photo in photos(141, 119)]
        np.testing.assert_allclose(detector.score(items), expected, atol=3e-4)

import pytest

from models.features.ast import AstFeatures
from models.features.seamless import SeamlessFeatures
from models.features.whisper import WhisperFeatures
from models.info import ImageGeometry
from models.preprocessing import image_preparation, voice_preparation
from models.processor_defaults import default_processor


@pytest.mark.parametrize(
    ("config", "normalize"),
    [
        ({"model_type": "wavlm"}, False),
        ({"model_type": "wavlm", "feat_extract_norm": "layer"}, True),
        ({"model_type": "unispeech-sat", "feat_extract_norm": "group"}, False),
        ({"model_type": "wav2vec2", "feat_extract_norm": "group"}, True),
        ({"model_type": "hubert"}, True),
    ],
)
def test_voices_on_raw_samples(config: dict[str, object], normalize: bool) -> None:
    processor = default_processor(config)
    assert processor is not None
    assert voice_preparation(processor, config).normalize is normalize


@pytest.mark.parametrize(
    ("config", "features"),
    [
        ({"model_type": "audio-spectrogram-transformer"}, AstFeatures(128, 1024, -4.2677393, 2 * 4.5689974)),
        (
            {"model_type": "audio-spectrogram-transformer", "max_length": 512, "num_mel_bins": 64},
            AstFeatures(64, 512, -4.2677393, 2 * 4.5689974),
        ),
        ({"model_type": "whisper", "num_mel_bins": 128}, WhisperFeatures(128, 480_000, 400, 160)),
        ({"model_type": "wav2vec2-bert"}, SeamlessFeatures(80)),
    ],
)
def test_voices_on_features(config: dict[str, object], features: object) -> None:
    processor = default_processor(config)
    assert processor is not None
    assert voice_preparation(processor, config).features == features


@pytest.mark.parametrize(
    ("config", "geometry"),
    [
        ({"model_type": "dinov2", "image_size": 518}, ImageGeometry(256, None, None, 224, 224, 3)),
        ({"model_type": "dinov2_with_registers"}, ImageGeometry(256, None, None, 224, 224, 3)),
        ({"model_type": "vit", "image_size": 384}, ImageGeometry(None, 384, 384, None, None, 2)),
        ({"model_type": "deit", "image_size": 224}, ImageGeometry(None, 256, 256, 224, 224, 3)),
        ({"model_type": "clip", "vision_config": {"image_size": 336}}, ImageGeometry(336, None, None, 336, 336, 3)),
        ({"model_type": "siglip", "vision_config": {"image_size": 256}}, ImageGeometry(None, 256, 256, None, None, 3)),
        ({"model_type": "convnextv2"}, ImageGeometry(256, None, None, 224, 224, 3)),
        ({"model_type": "mobilevit", "image_size": 256}, ImageGeometry(288, None, None, 256, 256, 2)),
        ({"model_type": "efficientnet", "image_size": 240}, ImageGeometry(None, 240, 240, None, None, 0)),
        ({"model_type": "beit", "image_size": 224}, ImageGeometry(None, 224, 224, None, None, 2)),
        ({"model_type": "dinov3_vit"}, ImageGeometry(None, 224, 224, None, None, 2)),
        (
            {"architecture": "resnet18", "pretrained_cfg": {"crop_pct": 0.95}},
            ImageGeometry(235, None, None, 224, 224, 3, crop_half_to_even=True),
        ),
    ],
)
def test_photos(config: dict[str, object], geometry: ImageGeometry) -> None:
    processor = default_processor(config)
    assert processor is not None
    assert image_preparation(processor).geometry == geometry


@pytest.mark.parametrize("kind", ["", "bert", "pvt", "timm_wrapper"])
def test_none_where_nothing_is_usual(kind: str) -> None:
    assert default_processor({"model_type": kind}) is None

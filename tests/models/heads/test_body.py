import pytest
import torch

from models.errors import UnsupportedModel
from models.heads.body import body_config
from tests.models.heads.files import HUBERT_LARGE, WAV2VEC2_SMALL, XLSR_300M, BodySize, body, wavlm


@pytest.mark.parametrize("size", [XLSR_300M, WAV2VEC2_SMALL, HUBERT_LARGE], ids=["xlsr", "wav2vec2", "hubert"])
def test_sizes_are_read_from_shapes(size: BodySize) -> None:
    config = body_config({key: torch.empty(shape, device="meta") for key, shape in body(size, "").items()})
    assert (config.hidden_size, config.num_hidden_layers) == (size.width, size.layers)
    assert (config.intermediate_size, config.conv_dim) == (size.inner, [size.channels] * 7)
    assert (config.do_stable_layer_norm, config.conv_bias) == (size.frame_norm, size.conv_bias)
    assert config.num_attention_heads == {768: 12, 1024: 16}[size.width]
    assert (config.num_conv_pos_embeddings, config.num_conv_pos_embedding_groups) == (size.positions, 16)


def test_wavlm_is_known_by_its_relative_positions() -> None:
    shapes = wavlm(HUBERT_LARGE, "", heads=16)
    config = body_config({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})
    assert (config.model_type, config.num_buckets, config.max_bucket_distance) == ("wavlm", 320, 800)


def test_tensors_of_no_body_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="no body of fairseq's"):
        body_config({"encoder.layers.0.fc1.weight": torch.empty(4096, 1024, device="meta")})

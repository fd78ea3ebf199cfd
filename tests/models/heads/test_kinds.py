import re

import pytest
import torch

from models.errors import CheckpointMismatch, UnsupportedModel
from models.heads.kinds import KIND_OF, filled, recognised
from models.weights import State
from tests.models.heads.files import XLSR_300M, Shapes, research_file
from tests.models.heads.lively import lively


def on_meta(shapes: Shapes) -> State:
    """Tensors of any size without memory."""
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


@pytest.mark.parametrize("kind", KIND_OF)
def test_every_kind_is_recognised_by_tensors_of_its_true_shapes(kind: str) -> None:
    assert recognised(on_meta(research_file(kind, XLSR_300M)), "file.pth").name == kind


def test_other_tensors_are_of_no_kind_and_some_of_them_are_named() -> None:
    state = on_meta({f"layer{index}.weight": (3, 3) for index in range(7)})
    with pytest.raises(
        UnsupportedModel, match=r"holds layer0\.weight, .*layer4\.weight and 2 more\. Way: export it to ONNX"
    ):
        recognised(state, "file.pth")
    with pytest.raises(UnsupportedModel, match="no detector known here"):
        recognised({}, "file.pth")


def test_a_graph_of_a_width_that_nobody_published_is_of_no_kind() -> None:
    state = on_meta({**research_file("aasist"), "pos_S": (1, 23, 48)})
    with pytest.raises(UnsupportedModel, match="no detector known here"):
        recognised(state, "file.pth")


@pytest.mark.parametrize(
    ("kind", "missing", "left_over"),
    [
        ("aasist-l", "GAT_layer_T.bn.bias", "GAT_layer_U.bn.bias"),
        ("rawnet2", "block3.0.conv2.bias", "block6.0.conv2.bias"),
        ("antideepfake", "m_ssl.model.encoder.layers.1.fc2.bias", "m_ssl.model.encoder.layers.1.fc3.bias"),
        ("xlsr-sls", "ssl_model.model.feature_extractor.conv_layers.3.2.1.bias", "ssl_model.model.extra"),
    ],
)
def test_tensors_too_few_and_too_many_are_named_as_in_the_file(kind: str, missing: str, left_over: str) -> None:
    state = on_meta(research_file(kind))
    del state[missing]
    state[left_over] = torch.zeros(3)
    with pytest.raises(CheckpointMismatch) as caught:
        filled(state, KIND_OF[kind], "file.pth")
    assert f"keys 1 missing: {missing}; 1 unexpected: {left_over}. Ways: get the file again" in str(caught.value)


def test_a_tensor_of_another_shape_is_named_as_in_the_file() -> None:
    state = on_meta(research_file("antideepfake"))
    state["m_ssl.model.encoder.layers.0.self_attn.q_proj.weight"] = torch.zeros(3, 1024)
    with pytest.raises(
        CheckpointMismatch, match=r"1 of another shape: m_ssl\.model\.encoder\.layers\.0\.self_attn\.q_proj"
    ):
        filled(state, KIND_OF["antideepfake"], "file.pth")


def test_channels_that_are_no_groups_of_one_size_are_refused() -> None:
    block = re.compile(r"Nested_Res2Net_TDNN\.Build_in_Res2Nets\.[2-6]\.")
    state = {key: each for key, each in on_meta(research_file("xlsr-nes2net")).items() if not block.match(key)}
    with pytest.raises(UnsupportedModel, match="its 1024 channels are no 3 groups of one size"):
        filled(state, KIND_OF["xlsr-nes2net"], "file.pth")


def test_two_tensors_for_one_place_are_too_many() -> None:
    state = on_meta(research_file("antideepfake"))
    state["m_ssl.model.feature_extractor.conv_layers.0.2.weight"] = torch.zeros(16)
    with pytest.raises(
        CheckpointMismatch, match=r"1 unexpected: m_ssl\.model\.feature_extractor\.conv_layers\.0\.2\.weight"
    ):
        filled(state, KIND_OF["antideepfake"], "file.pth")


@pytest.mark.parametrize("kind", ["aasist-l", "antideepfake"])
def test_what_has_no_effect_may_be_missing(kind: str) -> None:
    idle = re.compile(r"num_batches_tracked|\.bn1\.|mask_emb|quantizer|project_q|final_proj")
    state = lively(research_file(kind), quickly=True)
    least = {key: tensor for key, tensor in state.items() if not idle.search(key)}
    assert len(least) < len(state)
    samples = torch.randn(1, 16_000)
    with torch.inference_mode():
        given = [filled(tensors, KIND_OF[kind], "file.pth")(samples) for tensors in (state, least)]
    torch.testing.assert_close(given[0], given[1])


def test_half_precision_is_computed_in_full() -> None:
    halves = {
        key: t.half() if t.is_floating_point() else t
        for key, t in lively(research_file("aasist-l"), quickly=True).items()
    }
    model = filled(halves, KIND_OF["aasist-l"], "file.pth")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in model.parameters())


def test_a_body_of_unknown_width_is_refused_because_its_heads_are_in_no_tensor() -> None:
    shapes = {
        key: tuple(512 if size == 1024 else size for size in shape)
        for key, shape in research_file("antideepfake").items()
    }
    with pytest.raises(UnsupportedModel, match="how many attention heads a body of width 512 has"):
        filled(on_meta(shapes), KIND_OF["antideepfake"], "file.pth")


@pytest.mark.parametrize("kind", KIND_OF)
@pytest.mark.parametrize("shape", [(), (0,), (0, 1_000_000_000), (10**6, 10**6, 10**6), (1, 1, 0)])
def test_tensors_that_claim_any_shape_are_refused_without_memory_for_them(kind: str, shape: tuple[int, ...]) -> None:
    shapes = {key: shape if "num_batches" not in key else () for key in research_file(kind)}
    with pytest.raises((UnsupportedModel, CheckpointMismatch)):
        filled(on_meta(shapes), KIND_OF[kind], "file.pth")

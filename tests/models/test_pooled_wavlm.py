from pathlib import Path
from typing import Any

import pytest
import torch

from models.errors import CheckpointMismatch, UnsupportedModel
from models.pooled_wavlm import load_pooled_wavlm
from tests.models.checkpoints import TINY_WAVE, random_pooled
from tests.models.heads.files import research_file
from tests.models.heads.lively import lively
from tests.models.test_checkpoint import Touch

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return dict(random_pooled(**TINY_WAVE).state_dict())


def _legacy_norm(state: State) -> State:
    """The names that weight norm had before torch 2."""
    new = "parametrizations.weight.original"
    return {key.replace(f"{new}0", "weight_g").replace(f"{new}1", "weight_v"): value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model_state_dict": state, "epoch": 7, "optimizer_state_dict": {"lr": 0.1}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        _legacy_norm,
        lambda state: {key: value.half() for key, value in state.items()},
    ],
    ids=["bare", "wrapped", "data-parallel", "legacy weight norm", "half"],
)
def test_loads_what_was_trained(state: State, wrap: Any, tmp_path: Path) -> None:
    torch.save(wrap(state), tmp_path / "chk.pth")
    model = load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)
    samples = torch.randn(2, 16_000) * 0.1
    with torch.inference_mode():
        torch.testing.assert_close(model(samples), random_pooled(**TINY_WAVE)(samples), rtol=0.02, atol=0.02)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_keys_that_do_not_fit_are_listed(state: State, tmp_path: Path) -> None:
    spoilt = {**state, "extra": torch.zeros(1), "linear.weight": torch.zeros(1, 5)}
    del spoilt["linear.bias"]
    torch.save(spoilt, tmp_path / "chk.pth")
    with pytest.raises(CheckpointMismatch) as caught:
        load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)
    assert str(caught.value).startswith(
        "the weights of chk.pth do not fit its architecture; keys "
        "1 missing: linear.bias; 1 unexpected: extra; 1 of another shape: linear.weight. Ways: "
    )


def test_ten_keys_are_shown_and_the_rest_counted(state: State, tmp_path: Path) -> None:
    torch.save({f"other.{key}": value for key, value in state.items()}, tmp_path / "chk.pth")
    needed = len(state) - 1  # the mask is used in training only
    with pytest.raises(CheckpointMismatch, match=rf"{needed} missing: .* and {needed - 10} more; {needed} unex"):
        load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)


def test_pickled_code_is_refused_and_not_run(state: State, tmp_path: Path) -> None:
    torch.save({"model_state_dict": state, "callback": Touch(tmp_path / "ran")}, tmp_path / "chk.pth")
    with pytest.raises(CheckpointMismatch, match="more than tensors"):
        load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_model_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "chk.pth")
    with pytest.raises(CheckpointMismatch, match="more than tensors"):
        load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model_state_dict": {"a": 1}}, torch.zeros(3)])
def test_other_tensors_are_no_state_dict(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "chk.pth")
    with pytest.raises(CheckpointMismatch, match="no state dict"):
        load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04torn", b"\x80\x02garbage", b"text"])
def test_garbage_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "chk.pth").write_bytes(content)
    with pytest.raises(CheckpointMismatch):
        load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)


def test_a_torn_file_is_refused(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "chk.pth")
    content = (tmp_path / "chk.pth").read_bytes()
    (tmp_path / "chk.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointMismatch):
        load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)


def test_a_detector_that_is_converted_first_is_named_with_the_way(tmp_path: Path) -> None:
    torch.save(lively(research_file("aasist-l")), tmp_path / "chk.pth")
    with pytest.raises(UnsupportedModel, match=r"AASIST-L .* converted first: `python -m models\.convert chk\.pth"):
        load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)

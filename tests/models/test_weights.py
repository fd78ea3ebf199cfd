"""Weight files as training programs leave them; nothing that a file names is ever called."""

import argparse
import datetime
import shutil
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import read_checkpoint
from models.classifier import load_classifier
from models.errors import CheckpointMismatch
from models.pooled_wavlm import load_pooled_wavlm
from models.weights import parameter_count, read_state
from tests.models.checkpoints import TINY_WAVE, random_pooled
from tests.models.test_checkpoint import Touch

Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors], Tensors]
STATE: Tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(2, dtype=torch.float16)}


def assert_same(got: Tensors, expected: Tensors = STATE) -> None:
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value)


@pytest.fixture(params=["voice", "face"])
def copied(request: pytest.FixtureRequest, tiny_voice: Path, tiny_face: Path, tmp_path: Path) -> tuple[Any, Path]:
    """A task and a copy of its folder that a test may change."""
    folder = tiny_voice if request.param == "voice" else tiny_face
    return request.param, Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.mark.parametrize(
    "beside",
    [
        {"best_eer": np.float64(0.05), "epoch": np.int64(7)},
        {"args": argparse.Namespace(lr=1e-4, name="run")},
        {"args": argparse.Namespace(inner=argparse.Namespace(best=np.float32(1)))},
        {"history": defaultdict(list, {"loss": [1.0, 0.5]})},
        {"curve": np.linspace(0, 1, 5)},
        {"folder": Path("runs") / "7", "when": datetime.datetime(2024, 1, 2)},
    ],
    ids=["numpy scalars", "Namespace", "nested", "defaultdict", "array", "path and time"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_what_lies_beside_the_weights_is_left_out(beside: dict[str, Any], zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "chk.pth"
    torch.save({"model_state_dict": STATE, **beside}, path, _use_new_zipfile_serialization=zipped)
    assert_same(read_state(path))


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors"])
def test_the_prefix_of_data_parallel_is_removed(prefix: str, suffix: str, tmp_path: Path) -> None:
    path, state = tmp_path / f"chk{suffix}", {prefix + key: value for key, value in STATE.items()}
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    assert_same(read_state(path))


def test_a_prefix_of_some_keys_is_part_of_them(tmp_path: Path) -> None:
    state = {"module.a": torch.ones(1), "b": torch.ones(1)}
    torch.save(state, tmp_path / "chk.pth")
    assert_same(read_state(tmp_path / "chk.pth"), state)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["beside", "in a Namespace", "as a weight"])
def test_code_is_refused_by_name_and_not_run(place: str, zipped: bool, tmp_path: Path) -> None:
    touch = Touch(tmp_path / "ran")
    content = {
        "beside": {"model_state_dict": STATE, "callback": touch},
        "in a Namespace": {"model_state_dict": STATE, "args": argparse.Namespace(callback=touch)},
        "as a weight": {**STATE, "c": touch},
    }[place]
    torch.save(content, tmp_path / "chk.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointMismatch, match=r"more than tensors \(.*open\)"):
        read_state(tmp_path / "chk.pth")
    assert not (tmp_path / "ran").exists()


def test_a_stand_in_is_no_weight(tmp_path: Path) -> None:
    torch.save({**STATE, "c": np.float64(1)}, tmp_path / "chk.pth")
    with pytest.raises(CheckpointMismatch, match="no state dict"):
        read_state(tmp_path / "chk.pth")


@pytest.mark.parametrize("keep", [10, 100, -5])
def test_a_torn_legacy_file_is_refused(keep: int, tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "whole.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "chk.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:keep])
    with pytest.raises(CheckpointMismatch, match=r"chk\.pth"):
        read_state(tmp_path / "chk.pth")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_however_a_file_is_torn_or_altered_it_is_read_or_refused(zipped: bool, tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
    whole, path = (tmp_path / "whole.pth").read_bytes(), tmp_path / "chk.pth"
    chance = np.random.default_rng(7)
    for number in range(200):
        content = bytearray(whole)
        if number % 2:
            del content[int(chance.integers(len(content))) :]
        else:
            content[int(chance.integers(len(content)))] = int(chance.integers(256))
        path.write_bytes(content)
        with suppress(CheckpointMismatch):
            read_state(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_parameters_are_counted(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"chk{suffix}"
    if suffix == ".pth":
        torch.save({"model_state_dict": STATE, "best": np.float64(1)}, path, _use_new_zipfile_serialization=False)
    else:
        save_file(STATE, path)
    assert parameter_count(path) == 8


def wrapped(state: Tensors) -> Tensors:
    return {f"module.{key}": value for key, value in state.items()}


@pytest.mark.parametrize("change", [dict, wrapped], ids=["plain", "data-parallel"])
@pytest.mark.parametrize("form", ["safetensors", "bin", "legacy bin", "with a scalar", "parts"])
def test_a_folder_loads_in_every_form(
    copied: tuple[Any, Path], change: Callable[[Tensors], Tensors], form: str
) -> None:
    task, folder = copied
    expected = load_classifier(read_checkpoint(folder), task).state_dict()
    state = change(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    match form:
        case "safetensors":
            save_file(state, folder / "model.safetensors", {"format": "pt"})
        case "with a scalar":
            torch.save({"model_state_dict": state, "best": np.float64(1)}, folder / "pytorch_model.bin")
        case "parts":
            keys = sorted(state)
            for number, half in enumerate((keys[::2], keys[1::2]), 1):
                torch.save({key: state[key] for key in half}, folder / f"pytorch_model-0000{number}-of-00002.bin")
        case _:
            torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=form == "bin")
    assert_same(load_classifier(read_checkpoint(folder), task).state_dict(), expected)


def test_what_is_masked_in_training_only_may_be_missing(copied: tuple[Any, Path]) -> None:
    task, folder = copied
    state = load_file(folder / "model.safetensors")
    masks = [key for key in state if key.endswith(("masked_spec_embed", "mask_token"))]
    assert len(masks) == 1
    del state[masks[0]]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    load_classifier(read_checkpoint(folder), task)


def test_so_may_it_in_a_bare_file(tmp_path: Path) -> None:
    state = dict(random_pooled(**TINY_WAVE).state_dict())
    (mask,) = [key for key in state if key.endswith("masked_spec_embed")]
    del state[mask]
    torch.save(state, tmp_path / "chk.pth")
    load_pooled_wavlm(tmp_path / "chk.pth", TINY_WAVE)

"""The files that a folder is fingerprinted by are those that it is loaded from, whatever else lies beside them."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import fingerprint, read_checkpoint, weight_count
from models.classifier import load_classifier
from models.errors import ModelError, UnsupportedModel
from models.labels import SpoofRule
from models.weight_files import weight_files

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
PARTS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
PICKLED_PARTS = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
VARIANTS = [
    "model.fp16.safetensors",
    "model-fp16.safetensors",
    "model_old.safetensors",
    "model.safetensors.index.fp16.json",
    "model.fp16-00001-of-00002.safetensors",
    "model-00001-of-00002.fp16.safetensors",
    "pytorch_model.fp16.bin",
    "pytorch_model_old.bin",
    "pytorch_model.fp16-00001-of-00001.bin",
]


def files(folder: Path, *names: str, parts: Mapping[str, list[str]] | None = None) -> Path:
    """A folder with these files, and indices that name parts."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"-")
    for index, named in (parts or {}).items():
        (folder / index).write_text(json.dumps({"weight_map": {f"key {name}": name for name in named}}))
    return folder


def selected(folder: Path) -> list[str]:
    return [path.name for path in weight_files(folder)]


@pytest.mark.parametrize(
    ("names", "parts", "expected"),
    [
        ([WHOLE], {}, [WHOLE]),
        ([WHOLE, PICKLED], {}, [WHOLE]),
        ([WHOLE, *PARTS, PICKLED], {INDEX: PARTS}, [WHOLE]),
        ([*PARTS, PICKLED], {INDEX: PARTS[::-1]}, PARTS),
        ([*PARTS, "model-00003-of-00003.safetensors"], {INDEX: PARTS}, PARTS),
        (["b.safetensors", "a.safetensors"], {INDEX: ["b.safetensors"]}, ["b.safetensors"]),
        ([PICKLED, *PICKLED_PARTS], {PICKLED_INDEX: PICKLED_PARTS}, [PICKLED]),
        ([PICKLED, *PARTS], {}, [PICKLED]),
        (PICKLED_PARTS, {PICKLED_INDEX: PICKLED_PARTS}, PICKLED_PARTS),
        (PICKLED_PARTS, {}, PICKLED_PARTS),
    ],
)  # fmt: skip
def test_which_files_are_loaded(
    tmp_path: Path, names: list[str], parts: dict[str, list[str]], expected: list[str]
) -> None:
    assert selected(files(tmp_path, *names, parts=parts)) == expected
    assert selected(files(tmp_path, *VARIANTS)) == expected


def test_variants_alone_are_refused_by_name(tmp_path: Path) -> None:
    for name in VARIANTS:
        with pytest.raises(UnsupportedModel, match=r"no model\.safetensors"):
            weight_files(files(tmp_path, name))
    with pytest.raises(UnsupportedModel, match=r"not loaded: .*model-fp16\.safetensors.*: copy"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}']
)
def test_a_broken_index_is_refused(tmp_path: Path, content: str) -> None:
    (files(tmp_path, *PARTS) / INDEX).write_text(content)
    with pytest.raises(UnsupportedModel, match=INDEX):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    "name", ["../other.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", "gone.safetensors"]
)
def test_an_index_names_files_of_its_folder(tmp_path: Path, name: str) -> None:
    files(tmp_path, "other.safetensors")
    with pytest.raises(UnsupportedModel, match=INDEX):
        weight_files(files(tmp_path / "m", *PARTS, parts={INDEX: [PARTS[0], name]}))


@pytest.fixture
def folder(tiny_voice: Path, tmp_path: Path) -> Path:
    """A copy without weights."""
    copy = Path(shutil.copytree(tiny_voice, tmp_path / "copy"))
    (copy / WHOLE).unlink()
    return copy


def put(folder: Path, name: str, state: dict[str, torch.Tensor], bias: float) -> None:
    """Writes these weights, of which one tells the file."""
    state = {**state, "classifier.bias": torch.full_like(state["classifier.bias"], bias)}
    if name.endswith(".bin"):
        torch.save(state, folder / name)
    elif name.endswith(".safetensors"):
        save_file(state, folder / name, {"format": "pt"})
    else:
        part = name.replace(".index.json", "").replace(".safetensors", "-1.safetensors").replace(".bin", "-1.bin")
        put(folder, part, state, bias)
        (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(state, part)}))


def version(folder: Path) -> str:
    checkpoint = read_checkpoint(folder)
    return fingerprint(checkpoint.files, checkpoint.facts, SpoofRule(1))


@pytest.mark.parametrize(
    "names",
    [
        [WHOLE, INDEX, PICKLED, PICKLED_INDEX],
        [INDEX, PICKLED, PICKLED_INDEX],
        [PICKLED, PICKLED_INDEX],
        [PICKLED_INDEX],
        ["model.fp16.safetensors", PICKLED],
        ["model_old.safetensors", WHOLE],
        ["model_old.safetensors", INDEX],
        ["pytorch_model.fp16.bin", PICKLED],
        ["pytorch_model_old.bin", PICKLED_INDEX],
        ["model-00001-of-00001.safetensors", PICKLED],
    ],
)
def test_a_folder_is_fingerprinted_by_what_it_is_loaded_from(tiny_voice: Path, folder: Path, names: list[str]) -> None:
    state = load_file(tiny_voice / WHOLE)
    for number, name in enumerate(names, 1):
        put(folder, name, state, number)
    loaded = load_classifier(read_checkpoint(folder), "voice").get_parameter("classifier.bias")[0].item()
    before = version(folder)
    assert weight_count(read_checkpoint(folder).files) == sum(tensor.numel() for tensor in state.values())
    for number, name in enumerate(names, 1):
        put(folder, name, state, number + 0.5)
        assert (version(folder) != before) == (number == loaded), name
        put(folder, name, state, number)


@pytest.mark.parametrize("names", [PARTS, PICKLED_PARTS])
def test_parts_without_their_index_are_loaded_if_they_are_all_there(
    tiny_voice: Path, folder: Path, names: list[str]
) -> None:
    state = load_file(tiny_voice / WHOLE)
    halves = [dict(list(state.items())[place::2]) for place in range(2)]
    for name, half in zip(names, halves, strict=True):
        if name.endswith(".bin"):
            torch.save(half, folder / name)
        else:
            save_file(half, folder / name, {"format": "pt"})
    loaded, whole = (load_classifier(read_checkpoint(each), "voice").state_dict() for each in (folder, tiny_voice))
    assert all(torch.equal(loaded[key], tensor) for key, tensor in whole.items())
    (folder / names[1]).unlink()
    with pytest.raises(UnsupportedModel, match=r"not all of one model: get them again, with their index"):
        read_checkpoint(folder)


@pytest.mark.parametrize("names", [PARTS, PICKLED_PARTS])
def test_parts_of_two_models_without_an_index_are_not_mixed(tmp_path: Path, names: list[str]) -> None:
    files(tmp_path, *names, *(name.replace("of-00002", "of-00003") for name in names))
    with pytest.raises(UnsupportedModel, match="not all of one model"):
        weight_files(tmp_path)


def test_what_is_loaded_is_not_named_elsewhere(tiny_voice: Path, folder: Path) -> None:
    state = load_file(tiny_voice / WHOLE)
    put(folder, WHOLE, state, 1)
    put(folder, "other.safetensors", state, 2)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "transformers_weights": "other.safetensors"}))
    with pytest.raises(ModelError, match=r"transformers_weights.*other\.safetensors"):
        load_classifier(read_checkpoint(folder), "voice")


def test_a_folder_that_holds_one_model_keeps_its_version(tiny_voice: Path) -> None:
    checkpoint = read_checkpoint(tiny_voice)
    assert fingerprint([tiny_voice / WHOLE], checkpoint.facts, SpoofRule(1)) == version(tiny_voice)

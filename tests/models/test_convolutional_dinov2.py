"""The DINOv2 with convolutions: served like any checkpoint, and what its configuration may not say."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

from models import crop_branch
from models.convolutional_dinov2 import Dinov2WithConvolutions
from models.crop_branch import together
from models.errors import UnsupportedModel
from models.face_model import FaceSpoofModel
from tests.models.adapter_files import random_pairs, save_adapter
from tests.models.checkpoints import TINY_DINOV2, apply, options, photos, save_face
from tests.models.test_face_model import BATCH_TOLERANCE, TOLERANCE
from tests.models.test_voice_model import ENGINES

STEM = {"stem_pooling": 2, "stem_channels": [8, 8], "stem_blocks": [1, 2], "stem_expansion": 2}
TINY = TINY_DINOV2 | STEM | {"image_size": 56, "patch_size": 8}


@pytest.fixture(scope="module", autouse=True)
def few_blocks() -> Iterator[None]:
    """One block of a branch for each size of its maps, for time; the bundled model has all of them."""
    blocks = ((32, 64, 128, 2, False), (64, 128, 96, 2, False), (128, 128, 96, 2, True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crop_branch, "_BLOCKS", blocks)
        yield


def saved(folder: Path, **entries: Any) -> Path:
    made = save_face(
        folder,
        ["live", "spoof"],
        model_class=Dinov2WithConvolutions,
        processor=BitImageProcessorPil(size={"height": 56, "width": 56}, do_center_crop=False),
        convolutions=True,
        **(TINY | entries),
    )
    state(made, "preprocessor_config.json", face_factor=2.7)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("convolutions") / "model")


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two branches."""
    return saved(tmp_path_factory.mktemp("branches") / "model", branch_edges=[38, 56])


def state(folder: Path, file: str, **entries: Any) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.mark.parametrize(("engine", "precision"), ENGINES)
@pytest.mark.parametrize("which", ["folder", "branched"])
def test_engines_agree_with_the_module(
    which: str, request: pytest.FixtureRequest, workspace: Path, engine: str, precision: str
) -> None:
    folder: Path = request.getfixturevalue(which)
    detector = FaceSpoofModel.load(str(folder), options(workspace, engine=engine, precision=precision))
    assert detector.info.architecture == "Dinov2WithConvolutions"
    assert detector.info.geometry is not None
    assert detector.info.geometry.face_factor == 2.7
    pictures = [apply(detector.info.geometry, photo) for photo in photos()]
    processor = BitImageProcessorPil.from_pretrained(folder)
    values = processor(photos(), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = Dinov2WithConvolutions.from_pretrained(folder).train(False)(values).logits.softmax(1)[:, 1].numpy()
    scores = detector.score(pictures)
    np.testing.assert_allclose(scores, expected, atol=TOLERANCE[precision])
    assert expected.std() > 0.05
    alone = np.concatenate([detector.score([picture]) for picture in pictures])
    np.testing.assert_allclose(scores, alone, atol=BATCH_TOLERANCE[precision])


def test_what_the_classifier_finds_is_added_to_the_branches_log_odds(branched: Path) -> None:
    model = Dinov2WithConvolutions.from_pretrained(branched).train(False)
    pictures = torch.rand(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        both = model(pictures).logits
        branches = together(torch.stack([branch(pictures) for branch in model.branches]))
        model.branches = torch.nn.ModuleList()
        own = model(pictures).logits
    live = torch.log_softmax(own, 1)[:, 0]
    torch.testing.assert_close(both[:, 1] - both[:, 0], branches - live)


def test_it_is_tuned_by_the_loss_of_image_classifiers(folder: Path) -> None:
    model = Dinov2WithConvolutions.from_pretrained(folder)
    labels = torch.tensor([0, 1])
    found = model(torch.zeros(2, 3, 56, 56), labels=labels)
    torch.testing.assert_close(found.loss, torch.nn.functional.cross_entropy(found.logits, labels))


def test_an_adapter_of_it_is_merged(folder: Path, tmp_path: Path) -> None:
    name = "dinov2.encoder.layer.0.mlp.fc1"
    model = Dinov2WithConvolutions.from_pretrained(folder).train(False)
    wide, narrow = model.state_dict()[f"{name}.weight"].shape
    pairs = random_pairs(**{name: ((4, narrow), (wide, 4))})
    adapted = save_adapter(tmp_path / "lora", folder, pairs, lora_alpha=8, r=4)
    own = options(tmp_path, engine="torch", precision="fp32")
    plain, detector = (FaceSpoofModel.load(str(each), own) for each in (folder, adapted))
    assert detector.info.architecture == "dinov2 with a LoRA adapter"
    difference = 2 * pairs[f"{name}.lora_B.weight"] @ pairs[f"{name}.lora_A.weight"]
    model.get_parameter(f"{name}.weight").data += torch.from_numpy(difference)
    values = BitImageProcessorPil.from_pretrained(folder)(photos(), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = model(values).logits.softmax(1)[:, 1].numpy()
    assert detector.info.geometry is not None
    pictures = [apply(detector.info.geometry, photo) for photo in photos()]
    np.testing.assert_allclose(detector.score(pictures), expected, atol=1e-5)
    assert np.abs(plain.score(pictures) - expected).max() > 1e-3


@pytest.mark.parametrize(
    ("entry", "value", "told"),
    [
        ("stem_channels", [8, 0], "stem_channels must be"),
        ("stem_channels", "no", "stem_channels must be"),
        ("stem_blocks", [1, 99], "stem_blocks must be"),
        ("stem_blocks", [1], "patches of 8 pixels"),
        ("stem_expansion", 9, "stem_expansion must be"),
        ("stem_pooling", 4, "patches of 16 pixels, not 8"),
        ("stem_pooling", True, "stem_pooling must be"),
        ("branch_edges", [57], "branch_edges must be"),
        ("branch_edges", [0.5], "branch_edges must be"),
        ("branch_edges", [], "branch_edges must be"),
    ],
)
def test_a_configuration_that_cannot_be_is_told(
    folder: Path, tmp_path: Path, entry: str, value: Any, told: str
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state(tmp_path, "config.json", **{entry: value})
    with pytest.raises(UnsupportedModel, match=told):
        FaceSpoofModel.load(str(tmp_path), options(tmp_path / "work", engine="torch", precision="fp32"))


@pytest.mark.parametrize("given", [0.5, 11, "2.7", True, [2.7]])
def test_a_factor_that_cannot_be_is_told(folder: Path, tmp_path: Path, given: Any) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state(tmp_path, "preprocessor_config.json", face_factor=given)
    with pytest.raises(UnsupportedModel, match="face_factor is"):
        FaceSpoofModel.load(str(tmp_path), options(tmp_path / "work", engine="torch", precision="fp32"))

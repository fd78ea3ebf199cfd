"""The bundled face model's folder, as the recipe writes it."""

import json
from dataclasses import asdict

from lab.training.face_branches import EDGES
from lab.training.face_distilled import GEOMETRY, HERE, Recipe
from lab.training.face_distilled_model import config
from lab.training.recipe import read_recipe
from models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from scripts.local_service import ROOT

BUNDLED = ROOT / "models" / "bundled" / "face"


def test_the_classes_are_named_and_spoof_is_the_second() -> None:
    written = json.loads((BUNDLED / "config.json").read_text())
    assert written["id2label"] == {"0": "live", "1": "spoof"}


def test_the_network_is_that_of_the_recipe() -> None:
    written = json.loads((BUNDLED / "config.json").read_text())
    assert written["architectures"] == ["Dinov2WithConvolutions"]
    made = config(asdict(read_recipe(HERE / "face-distilled.yaml", Recipe)))
    names = ["image_size", "patch_size", "hidden_size", "num_hidden_layers", "num_attention_heads"]
    names += ["stem_channels", "stem_blocks", "stem_expansion", "stem_pooling"]
    assert [written[name] for name in names] == [getattr(made, name) for name in names]
    assert written["branch_edges"] == list(EDGES)


def test_the_processor_file_says_what_training_did() -> None:
    processor = json.loads((BUNDLED / "preprocessor_config.json").read_text())
    assert {name: processor[name] for name in GEOMETRY} == GEOMETRY
    assert (processor["image_mean"], processor["image_std"]) == (list(IMAGENET_MEAN), list(IMAGENET_STD))


def test_the_folder_is_small_and_has_a_card() -> None:
    assert sum(file.stat().st_size for file in BUNDLED.iterdir()) < 12e6
    assert "simulated" in (BUNDLED / "README.md").read_text()

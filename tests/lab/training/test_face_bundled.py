import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Dinov2ForImageClassification

from lab.training.face import BUNDLED, Recipe
from lab.training.face_photos import MEAN, STD, Shape, preprocess, read_rgb, to_tensor
from lab.training.recipe import read_recipe

SAMPLES = Path(__file__).parents[3] / "data" / "objects" / "samples"
RECIPE = Path(__file__).parents[3] / "lab" / "training" / "face.yaml"


@pytest.fixture(scope="module")
def model() -> Dinov2ForImageClassification:
    loaded = Dinov2ForImageClassification.from_pretrained(BUNDLED)
    assert isinstance(loaded, Dinov2ForImageClassification)
    return loaded


@pytest.fixture(scope="module")
def processor() -> dict[str, object]:
    found = json.loads((BUNDLED / "preprocessor_config.json").read_text())
    assert isinstance(found, dict)
    return found


def score(model: Dinov2ForImageClassification, processor: dict[str, object], image: Image.Image) -> float:
    size, crop = processor["size"], processor["crop_size"]
    assert isinstance(size, dict)
    assert isinstance(crop, dict)
    pixels = to_tensor(preprocess(image, Shape(size["shortest_edge"], crop["height"])))
    with torch.inference_mode():
        return float(torch.softmax(model(pixel_values=pixels[None]).logits, dim=1)[0, 1])


def test_the_classes_are_named_and_spoof_is_the_second(model: Dinov2ForImageClassification) -> None:
    assert model.config.id2label == {0: "live", 1: "spoof"}


def test_the_processor_file_says_what_training_did(
    model: Dinov2ForImageClassification, processor: dict[str, object]
) -> None:
    recipe = read_recipe(RECIPE, Recipe)
    assert processor["size"] == {"shortest_edge": recipe.short_edge}
    assert processor["crop_size"] == {"height": recipe.crop, "width": recipe.crop}
    assert (processor["image_mean"], processor["image_std"]) == (list(MEAN), list(STD))
    assert model.config.image_size == recipe.crop


def test_the_folder_is_small_and_has_a_card() -> None:
    assert sum(file.stat().st_size for file in BUNDLED.iterdir()) < 12e6
    assert "simulated" in (BUNDLED / "README.md").read_text()


def test_the_sample_attack_scores_above_the_live_sample(
    model: Dinov2ForImageClassification, processor: dict[str, object]
) -> None:
    live = score(model, processor, read_rgb(SAMPLES / "face.jpg"))
    fake = score(model, processor, read_rgb(SAMPLES / "face_spoof.jpg"))
    assert live < 0.5 < fake


@pytest.mark.parametrize("size", [(300, 420), (192, 192), (1000, 500)])
def test_preprocessing_cuts_the_middle(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (200, 10, 10))
    middle = Image.new("RGB", (20, 20), (10, 200, 10))
    image.paste(middle, ((size[0] - 20) // 2, (size[1] - 20) // 2))
    pixels = preprocess(image, Shape(224, 192))
    assert pixels.shape == (192, 192, 3)
    assert pixels.dtype == np.uint8
    assert pixels[96, 96, 1] > 150
    assert pixels[5, 5, 0] > 150

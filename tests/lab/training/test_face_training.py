from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Dinov2ForImageClassification

from lab.served import ServedModel
from lab.training.data.face import SIMULATORS
from lab.training.data.face_attacks import PRINT
from lab.training.data.face_photo import LIVE, take
from lab.training.data.manifest import Item, Split
from lab.training.face import Recipe, thinned, train
from lab.training.face_model import build, leave_out_patches, whitening
from lab.training.face_photos import MEAN, STD
from lab.training.recipe import read_recipe
from models.configured import settings_for

RECIPE = Path(__file__).parents[3] / "lab" / "training" / "face.yaml"


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    """Patches of 8 pixels: their filters are eigenvectors of 192 dimensions then, not of 768."""
    return replace(
        read_recipe(RECIPE, Recipe), hidden_size=32, layers=1, heads=2, patch_size=8, crop=32, short_edge=36,
        batch_size=4, epochs=1, eval_steps=2,
    )  # fmt: skip


def make_items(folder: Path) -> list[Item]:
    rng = np.random.default_rng(0)
    items = []
    for number in range(24):
        split: Split = "train" if number < 16 else "dev"
        kind = LIVE if number % 2 else PRINT
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((96, 96))
        picture = (np.asarray(coarse, np.float32) / 255).astype(np.float32)
        path = folder / f"{number}.jpg"
        path.write_bytes(take(picture, picture, kind, split, rng))
        items.append(Item(path, "bonafide" if kind == LIVE else "spoof", str(number), "test", "CC0", kind, split))
    return items


def make_rows(learn: int, dev: int) -> list[Item]:
    """A manifest without photos."""
    learning: Split = "train"
    looking: Split = "dev"
    return [
        Item(Path(f"{n}.jpg"), "bonafide", str(n), "test", "CC0", LIVE, learning if n < learn else looking)
        for n in range(learn + dev)
    ]


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "face.yaml"
    path.write_text(RECIPE.read_text() + "\nlearning_rat: 1\n")
    with pytest.raises(ValueError, match="learning_rat"):
        read_recipe(path, Recipe)


def test_whitened_patches_are_equally_strong_and_uncorrelated() -> None:
    rng = np.random.default_rng(1)
    photos = np.stack(
        [np.asarray(Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).resize((64, 64))) for _ in range(40)]
    )
    filters = whitening(photos, 8, 24)
    inputs = torch.from_numpy((photos / 255 - np.array(MEAN)) / np.array(STD)).permute(0, 3, 1, 2).float()
    answers = torch.nn.functional.conv2d(inputs, filters).permute(1, 0, 2, 3).reshape(24, -1)
    correlation = torch.corrcoef(answers)
    assert (correlation - torch.eye(24)).abs().max() < 0.2
    assert answers.std(dim=1).max() < 3 * answers.std(dim=1).min()


def test_patches_are_left_out_in_training_only() -> None:
    photos = np.random.default_rng(2).integers(0, 256, (8, 32, 32, 3), np.uint8)
    model = build(32, 1, 2, 8, 32, photos)
    leave_out_patches(model, 0.5)
    seen: list[int] = []
    model.dinov2.layernorm.register_forward_hook(lambda module, _, tokens: seen.append(tokens.shape[1]))
    pixels = torch.zeros(1, 3, 32, 32)
    model.train()
    model(pixel_values=pixels)
    model.train(False)
    model(pixel_values=pixels)
    assert seen == [9, 17]


def test_a_share_of_the_training_rows_is_taken_evenly_and_all_others() -> None:
    items = make_rows(16, 8)
    kept = thinned(items, 0.25)
    assert [item.subject for item in kept if item.split == "train"] == ["0", "4", "8", "12"]
    assert [item for item in kept if item.split == "dev"] == [item for item in items if item.split == "dev"]
    assert sorted(thinned(items, 1.0), key=str) == sorted(items, key=str)


def test_both_recipes_are_of_one_model_and_name_simulators_that_exist() -> None:
    first, second = read_recipe(RECIPE, Recipe), read_recipe(RECIPE.with_name("face-second.yaml"), Recipe)
    same = ("hidden_size", "layers", "heads", "patch_size", "short_edge", "crop")
    assert [getattr(first, name) for name in same] == [getattr(second, name) for name in same]
    for recipe in (first, second):
        assert set(recipe.simulators) <= set(SIMULATORS)


@pytest.mark.slow
def test_training_goes_on_from_another_model(tmp_path: Path, tiny: Recipe) -> None:
    items = make_items(tmp_path)
    begun = tmp_path / "begun"
    train(tiny, items, tmp_path / "first", begun, workers=0)
    still = replace(tiny, learning_rate=0.0, averaging=0.9)
    train(still, items, tmp_path / "second", tmp_path / "model", workers=0, start=begun)
    states = [
        Dinov2ForImageClassification.from_pretrained(folder).state_dict() for folder in (begun, tmp_path / "model")
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.slow
def test_training_writes_a_folder_that_scores_and_goes_on_where_it_stopped(tmp_path: Path, tiny: Recipe) -> None:
    items = make_items(tmp_path)
    work, output = tmp_path / "work", tmp_path / "model"
    train(tiny, items, work, output, workers=0)
    first = Dinov2ForImageClassification.from_pretrained(output)
    settings = settings_for("face", models_dir=tmp_path / "models", engine="torch")
    served = ServedModel(str(output), "face", settings)
    scores = served.detector.score([part.array for item in items for part in served.read(item.path)])
    assert scores.shape == (24,)
    assert ((scores > 0) & (scores < 1)).all()
    assert sorted(path.name for path in work.glob("checkpoint-*"))[-1] == "checkpoint-4"

    train(replace(tiny, epochs=2), items, work, output, workers=0)
    assert (work / "checkpoint-8").is_dir()
    # The attention weights must come back too, not only those whose names stay the same on disk.
    saved = Dinov2ForImageClassification.from_pretrained(work / "checkpoint-8").state_dict()
    begun = (
        Dinov2ForImageClassification.from_pretrained(work / "checkpoint-4").state_dict()
        if (work / "checkpoint-4").is_dir()
        else first.state_dict()
    )
    key = next(name for name in saved if "q_proj.weight" in name)
    assert torch.corrcoef(torch.stack([saved[key].flatten(), begun[key].flatten()]))[0, 1] > 0.9

"""The face model's training, on a few small crops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lab.served import ServedModel
from lab.training.data.face_crops import SIDE, Crops
from lab.training.face_distilled import GEOMETRY, Recipe, Taught, Training, loss
from lab.training.face_distilled_model import Judged
from lab.training.face_export import export
from lab.training.face_pair import WIDTH
from lab.training.recipe import read_recipe
from models.configured import settings_for

RECIPE = Path(__file__).parents[3] / "lab" / "training" / "face-distilled.yaml"


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    return replace(
        read_recipe(RECIPE, Recipe), hidden_size=32, layers=1, heads=2, stem_pooling=4, stem_channels=[4, 4, 8, 8],
        stem_blocks=[1, 1, 1, 1], batch_size=8, epochs=1, eval_steps=2, averaging=0.5,
    )  # fmt: skip


def crops(count: int, seed: int) -> Crops:
    rng = np.random.default_rng(seed)
    spoof = np.arange(count) % 2
    pictures = rng.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
    return Crops(
        pictures,
        spoof.astype(np.int8),
        np.array(["-", "print"])[spoof],
        np.array(["bench", "handheld"])[np.arange(count) // 2 % 2],
        rng.normal(0, 2, count).astype(np.float32),
        rng.normal(0, 1, (count, WIDTH)).astype(np.float16),
    )


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "face-distilled.yaml"
    path.write_text(RECIPE.read_text() + "\nlearning_rat: 1\n")
    with pytest.raises(ValueError, match="learning_rat"):
        read_recipe(path, Recipe)


def test_blends_have_no_label_to_be_learned(tiny: Recipe) -> None:
    judged = Judged(torch.zeros(3), torch.tensor([0.0, 5.0, -5.0]), torch.zeros(3, WIDTH))
    taught = Taught(torch.tensor([1.0, -1.0, -1.0]), torch.zeros(3), torch.zeros(3, WIDTH))
    alone = replace(tiny, labels=1.0, seen=0.0)
    without = float(loss(judged, taught, replace(alone, labels=0.0)))
    assert float(loss(judged, taught, alone)) - without == pytest.approx(np.log(2), abs=1e-5)
    none = replace(taught, spoof=torch.full((3,), -1.0))
    assert float(loss(judged, none, alone)) == pytest.approx(without, abs=1e-6)


def test_the_score_is_both_judges_together(tiny: Recipe, tmp_path: Path) -> None:
    training = Training(tiny, crops(16, 1), crops(8, 2), tmp_path)
    training.run()
    training.model.train(False)
    pictures = torch.from_numpy(crops(4, 3).pictures)
    with torch.inference_mode():
        judged = training.model(pictures)
        planes = training.model.prepared(pictures)
        logits = training.model.merged(0.5, 2.0)(planes).logits
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], 0.5 * judged.pair + 2 * judged.label, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_training_writes_a_folder_that_is_served_and_goes_on_where_it_stopped(tmp_path: Path, tiny: Recipe) -> None:
    learn, dev, work = crops(32, 1), crops(8, 2), tmp_path / "work"
    whole = Training(replace(tiny, epochs=2), learn, dev, tmp_path / "other")
    whole.run()

    class Interrupted(Exception):
        pass

    stopped = Training(replace(tiny, epochs=2), learn, dev, work)
    stopped.dev_errors = lambda: "" if stopped.step < 4 else _raise(Interrupted)  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        stopped.run()
    again = Training(replace(tiny, epochs=2), learn, dev, work)
    again.run()
    for name, weight in whole.mean.state_dict().items():
        torch.testing.assert_close(again.mean.state_dict()[name], weight, rtol=1e-4, atol=1e-5, msg=name)

    export(again.served(), GEOMETRY, tmp_path / "model")
    settings = settings_for("face", models_dir=tmp_path / "models", engine="torch")
    served = ServedModel(str(tmp_path / "model"), "face", settings)
    assert served.detector.info.architecture == "Dinov2WithConvolutions"
    Image.fromarray(learn.pictures[0]).save(tmp_path / "photo.png")
    (part,) = served.read(tmp_path / "photo.png")
    assert 0 < served.detector.score([part.array])[0] < 1


def _raise(kind: type[Exception]) -> str:
    raise kind

"""The face model's training, on a few small crops."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lab.served import ServedModel
from lab.training.data.face_crops import Crops
from lab.training.face_distilled import GEOMETRY, Batch, Recipe, Scales, Training, batch_of, loss
from lab.training.face_distilled_model import FaceTraining
from lab.training.face_export import export
from lab.training.face_pair import WIDTH, PairOutput, PublishedPair
from lab.training.face_views import SIDE
from lab.training.recipe import read_recipe
from models.configured import settings_for
from tests.published import WEIGHTS, needs_weights

RECIPE = Path(__file__).parents[3] / "lab" / "training" / "face-distilled.yaml"


class Brightness:
    """In place of the pair: the darker the middle of a face, the more fake. Its maps are the picture, made small."""

    def judge(self, near: Tensor, wide: Tensor) -> PairOutput:
        """See the class."""
        fake = 6 - 12 * near.mean((1, 2, 3))
        small = functional.adaptive_avg_pool2d(wide.mean(1, keepdim=True), 16).flatten(1)
        first, second = (list(_maps(each)) for each in (near, wide))
        return PairOutput(fake, small[:, :WIDTH], first, second)


def _maps(pictures: Tensor) -> Iterator[Tensor]:
    for channels, edge in ((64, 20), (128, 10), (128, 5)):
        grey = functional.adaptive_avg_pool2d(pictures.mean(1, keepdim=True), edge)
        yield grey * torch.linspace(-1, 1, channels).view(1, -1, 1, 1)


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    return replace(
        read_recipe(RECIPE, Recipe), hidden_size=32, layers=1, heads=2, stem_channels=[4, 4, 8, 8],
        stem_blocks=[1, 1, 1, 1], batch_size=8, epochs=1, eval_steps=2, averaging=0.5,
    )  # fmt: skip


def crops(count: int, seed: int, side: int = 256) -> Crops:
    rng = np.random.default_rng(seed)
    spoof = np.arange(count) % 2
    pictures = rng.integers(0, 256, (count, 1, 1, 3), np.uint8).repeat(side, 1).repeat(side, 2)
    return Crops(
        pictures,
        np.full((count, 4), (3 * side // 8, 3 * side // 8, 5 * side // 8, 5 * side // 8), np.int16),
        spoof.astype(np.int8),
        np.array(["-", "print"])[spoof],
        np.array(["bench", "handheld"])[np.arange(count) // 2 % 2],
    )


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "face-distilled.yaml"
    path.write_text(RECIPE.read_text() + "\nlearning_rat: 1\n")
    with pytest.raises(ValueError, match="learning_rat"):
        read_recipe(path, Recipe)


def test_the_pair_is_asked_about_the_pixels_that_are_learned(tiny: Recipe) -> None:
    batch = batch_of(crops(16, 1), np.arange(8), Brightness(), tiny, np.random.default_rng(3))
    planes = batch.pictures.permute(0, 3, 1, 2).float() / 255
    for place, (left, top, right, bottom) in enumerate(batch.near.round().int().tolist()):
        middle = planes[place, :, top:bottom, left:right].mean()
        assert float(batch.output.fake[place]) == pytest.approx(float(6 - 12 * middle), abs=0.25)
    assert batch.spoof.tolist() == [-1, -1, 0, 1, 0, 1, 0, 1], "a quarter is laid over another"


def test_blends_have_no_label_to_be_learned(tiny: Recipe) -> None:
    batch = batch_of(crops(16, 1), np.arange(8), Brightness(), tiny, np.random.default_rng(3))
    model, scales = FaceTraining(vars(tiny)), Scales.of([batch.output])
    judged = model(batch.pictures)
    hints = model.hints(judged.maps, batch.near)
    said = judged._replace(label=torch.tensor([9.0] * 4 + [0.0] * 4))

    def found(labels: float, spoof: list[int]) -> float:
        changed = Batch(batch.pictures, batch.near, torch.tensor(spoof, dtype=torch.float32), batch.output)
        weighed = replace(tiny, labels=labels)
        return loss(said, hints, changed, scales, weighed).item()

    none = [-1] * 8
    assert found(1.0, none) == pytest.approx(found(0.0, none), abs=1e-5)
    assert found(1.0, [-1] * 4 + [1, 0, 1, 0]) - found(0.0, none) == pytest.approx(np.log(2), abs=1e-4)


def test_the_score_is_both_judges_together(tiny: Recipe, tmp_path: Path) -> None:
    training = Training(tiny, crops(16, 1), crops(8, 2, SIDE), Brightness(), tmp_path)
    training.run()
    training.model.train(False)
    pictures = torch.from_numpy(crops(4, 3, SIDE).pictures)
    with torch.inference_mode():
        judged = training.model(pictures)
        planes = training.model.prepared(pictures)
        logits = training.model.merged(0.5, 2.0)(planes).logits
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], 0.5 * judged.pair + 2 * judged.label, rtol=1e-4, atol=1e-4)


def test_a_checkpoint_of_another_recipe_or_of_other_crops_is_refused(tiny: Recipe, tmp_path: Path) -> None:
    learn, dev = crops(16, 1), crops(8, 2, SIDE)
    Training(tiny, learn, dev, Brightness(), tmp_path).run()
    with pytest.raises(ValueError, match="another recipe"):
        Training(replace(tiny, label_share=0.0), learn, dev, Brightness(), tmp_path).run()
    with pytest.raises(ValueError, match="another crops"):
        Training(tiny, crops(16, 5), dev, Brightness(), tmp_path).run()


@needs_weights
def test_the_published_pair_teaches(tiny: Recipe, tmp_path: Path) -> None:
    training = Training(tiny, crops(16, 1), crops(8, 2, SIDE), PublishedPair(WEIGHTS, 1), tmp_path)
    before = {name: weight.clone() for name, weight in training.model.hints.named_parameters()}
    training.run()
    assert all(not torch.equal(before[name], weight) for name, weight in training.model.hints.named_parameters())
    assert "rank correlation" in training.dev_errors()


@pytest.mark.slow
def test_training_writes_a_folder_that_is_served_and_goes_on_where_it_stopped(tmp_path: Path, tiny: Recipe) -> None:
    learn, dev, work = crops(16, 1), crops(8, 2, SIDE), tmp_path / "work"
    twice = replace(tiny, epochs=2)
    whole = Training(twice, learn, dev, Brightness(), tmp_path / "other")
    whole.run()

    class Interrupted(Exception):
        pass

    stopped = Training(twice, learn, dev, Brightness(), work)
    stopped.dev_errors = lambda: "" if stopped.step < 4 else _raise(Interrupted)  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        stopped.run()
    again = Training(twice, learn, dev, Brightness(), work)
    again.run()
    for name, weight in whole.mean.state_dict().items():
        torch.testing.assert_close(again.mean.state_dict()[name], weight, rtol=1e-4, atol=1e-5, msg=name)

    export(again.served(), GEOMETRY, tmp_path / "model")
    settings = settings_for("face", models_dir=tmp_path / "models", engine="torch")
    served = ServedModel(str(tmp_path / "model"), "face", settings)
    assert served.detector.info.architecture == "Dinov2WithConvolutions"
    Image.fromarray(dev.pictures[0]).save(tmp_path / "photo.png")
    (part,) = served.read(tmp_path / "photo.png")
    assert 0 < served.detector.score([part.array])[0] < 1


def _raise(kind: type[Exception]) -> str:
    raise kind

"""Which weights learn, and that a stopped training resumes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import EvalPrediction, PreTrainedModel, TrainerState

from lab.evaluation.trials import BONAFIDE, DataError, Trial
from lab.finetuning.base import Base, open_base
from lab.finetuning.decoded import Decoded
from lab.finetuning.tuning import Plan, dev_error, freeze, tune
from lab.training import loop
from models.devices import cuda_is_available
from models.errors import EngineUnavailable
from tests.models.checkpoints import TINY_DINOV2, TWO_LAYERS, options, save_face

PLAN = Plan(
    steps=6, batch=4, learning_rate=1e-3, frozen=0, varied=True, looks=3, seed=5, device="cpu",
)  # fmt: skip


@pytest.fixture
def face(tiny_face: Path, tmp_path: Path) -> Base:
    return open_base(str(tiny_face), "face", options(tmp_path))


def some_photos(seed: int) -> Decoded:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 56, 56, 3)).astype(np.uint8)
    pixels[::2] //= 3
    owners = tuple(Trial(Path(str(index)), "dark" if index % 2 == 0 else BONAFIDE, str(index)) for index in range(8))
    return Decoded(pixels, owners, {})


def learning(model: PreTrainedModel) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_frozen_layers_and_all_below_keep_their_weights(tmp_path: Path) -> None:
    folder = save_face(tmp_path / "two", ["live", "spoof"], **TINY_DINOV2 | TWO_LAYERS)
    face = open_base(str(folder), "face", options(tmp_path))
    model = face.classifier()
    everything = learning(model)
    freeze(model, 0)
    assert learning(model) == everything
    freeze(model, 1)
    assert {name.split(".layer.")[-1][0] for name in learning(model) if ".layer." in name} == {"1"}
    assert learning(model) - {name for name in everything if ".layer.1." in name} == {
        "classifier.weight",
        "classifier.bias",
    }
    with pytest.raises(DataError, match="has 2 layers"):
        freeze(face.classifier(), 3)


def test_the_convolutions_of_a_voice_model_never_learn(tiny_voice: Path, tmp_path: Path) -> None:
    model = open_base(str(tiny_voice), "voice", options(tmp_path)).classifier()
    freeze(model, 0)
    assert not [name for name in learning(model) if "feature_extractor" in name]
    freeze(model, 1)
    assert learning(model) == {"projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}


def test_cuda_that_is_not_there_is_told(face: Base, tmp_path: Path) -> None:
    if cuda_is_available():
        pytest.skip("there is CUDA here")
    with pytest.raises(EngineUnavailable, match="cuda"):
        tune(face, some_photos(1), some_photos(2), replace(PLAN, device="cuda"), tmp_path / "work")


@pytest.mark.slow
def test_a_stopped_training_ends_as_one_that_was_not(face: Base, tmp_path: Path) -> None:
    whole = tune(face, some_photos(1), some_photos(2), PLAN, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Progress, "on_evaluate", _stop, raising=False)
        with pytest.raises(KeyboardInterrupt):
            tune(face, some_photos(1), some_photos(2), PLAN, tmp_path / "stopped")
    assert loop.last_checkpoint(tmp_path / "stopped") == tmp_path / "stopped/checkpoint-2"
    torn = tmp_path / "stopped/checkpoint-4"  # as a process leaves it that is killed while it writes one
    torn.mkdir()
    (torn / "model.safetensors").write_bytes((tmp_path / "stopped/checkpoint-2/model.safetensors").read_bytes()[:999])
    resumed = tune(face, some_photos(1), some_photos(2), PLAN, tmp_path / "stopped")
    finished_already = tune(face, some_photos(1), some_photos(2), PLAN, tmp_path / "whole")
    for again in (resumed, finished_already):
        assert (again.step, again.dev_eer) == (whole.step, whole.dev_eer)
        for name, weight in whole.model.state_dict().items():
            torch.testing.assert_close(again.model.state_dict()[name], weight)


def _stop(self: object, args: object, state: TrainerState, control: object, **_: object) -> None:
    if state.global_step == 4:
        raise KeyboardInterrupt


def test_a_training_that_diverges_is_told_in_a_sentence() -> None:
    prediction = EvalPrediction(np.array([[np.nan, 0.0], [0.0, 1.0]]), np.array([0, 1]))
    with pytest.raises(DataError, match=r"has diverged.* lower --learning-rate"):
        dev_error(1)(prediction)

"""Checkpoints are restored completely, and a training logs its progress."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    Dinov2Config,
    Dinov2ForImageClassification,
    PreTrainedModel,
    TrainerControl,
    TrainerState,
    WavLMConfig,
    WavLMForSequenceClassification,
)

from lab.training import loop
from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE


@pytest.mark.parametrize(
    ("model_class", "config"),
    [
        (Dinov2ForImageClassification, Dinov2Config(**TINY_DINOV2)),
        (WavLMForSequenceClassification, WavLMConfig(**TINY_WAVE)),
    ],
)
def test_every_weight_is_restored(model_class: type[PreTrainedModel], config: Any, tmp_path: Path) -> None:
    torch.manual_seed(1)
    saved = model_class(config)
    saved.save_pretrained(tmp_path)
    torch.manual_seed(2)
    model = model_class(config)
    loop.restore(model, tmp_path)
    for name, weight in saved.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight)


@pytest.mark.parametrize("last", [None, "", '{"global_step": 1'])
def test_a_checkpoint_that_is_not_whole_is_passed_over(last: str | None, tmp_path: Path) -> None:
    """The state is what is written last."""
    assert loop.last_checkpoint(tmp_path / "absent") is None
    for step in (2, 9, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}/trainer_state.json").write_text("{}")
    assert loop.last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    state = tmp_path / "checkpoint-10/trainer_state.json"
    state.unlink() if last is None else state.write_text(last)
    assert loop.last_checkpoint(tmp_path) == tmp_path / "checkpoint-9"
    for step in (2, 9):
        (tmp_path / f"checkpoint-{step}/trainer_state.json").unlink()
    assert loop.last_checkpoint(tmp_path) is None


def test_progress_tells_the_dev_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress, state, control = loop.Progress(), TrainerState(global_step=0, max_steps=40), TrainerControl()
    arguments = loop.settings(tmp_path, seed=1, eval_steps=10, use_cpu=True)
    progress.on_train_begin(arguments, state, control)
    state.global_step = 10
    progress.on_log(arguments, state, control, {"loss": 0.5, "epoch": 1.0})
    progress.on_log(arguments, state, control, {"eval_eer": 0.125, "eval_runtime": 3.0})
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "step 10 of 40: loss 0.5000",
        "step 10 of 40: dev eer 12.5 %",
    ]
    assert all("left" in record.message for record in caplog.records)

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import TrainingArguments

from lab.training.averaging import AveragingTrainer


class Line(nn.Module):
    """One weight, whose loss pulls it upwards."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": (labels - self.weight * x).mean(), "logits": self.weight * x}


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_what_is_measured_and_saved_is_the_mean_and_training_goes_on_from_the_weights(
    tmp_path: Path, share: float
) -> None:
    rows = [{"x": torch.ones(1), "labels": torch.ones(1)} for _ in range(16)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), learning_rate=0.1, lr_scheduler_type="constant", max_steps=8, save_steps=8,
        eval_strategy="steps", eval_steps=4, weight_decay=0, report_to="none", disable_tqdm=True,
        per_device_train_batch_size=2, log_level="error", use_cpu=True, save_strategy="steps",
    )  # fmt: skip
    model = Line()
    trainer = AveragingTrainer(share, model=model, args=arguments, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    steps = torch.arange(1, 9) * 0.1
    mean = steps[0]
    for step in steps[1:]:
        mean = share * mean + (1 - share) * step
    (saved,) = tmp_path.glob("checkpoint-*/model.safetensors")
    from safetensors.torch import load_file

    assert load_file(saved)["weight"].item() == pytest.approx(mean.item(), rel=0.02)
    assert model.weight.item() == pytest.approx(0.8, rel=0.02)
    measured = [log["eval_loss"] for log in trainer.state.log_history if "eval_loss" in log]
    assert 1 - measured[-1] == pytest.approx(mean.item(), rel=0.02)

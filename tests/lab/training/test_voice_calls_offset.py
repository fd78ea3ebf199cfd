"""What calls add to scores is taken off again, and nothing from windows that are no calls."""

import numpy as np
import pytest
import torch

from lab.training import voice_calls_offset, voice_head, voice_model
from lab.training.data.voice_audio import WINDOW
from lab.training.voice_calls_offset import Offset
from models.statistics_wavlm import WavLMForStatistics, statistics_width
from tests.lab.training.small_voice import MODEL


@pytest.fixture
def model() -> WavLMForStatistics:
    """Judges by the first statistic."""
    model = voice_model.build(MODEL, seed=0)
    model.train(False)
    with torch.no_grad():
        model.classifier.weight.zero_()
        voice_head.write(model, torch.eye(statistics_width(model.config))[0] * 2, torch.tensor(0.5))
    return model


def logits(model: WavLMForStatistics, seen: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        found = model.head(seen)
    return found[:, 1] - found[:, 0]


def windows_and_calls(model: WavLMForStatistics) -> tuple[torch.Tensor, torch.Tensor]:
    """Statistics of 400 windows, and of the same behind a call."""
    before = torch.randn(400, statistics_width(model.config), generator=torch.Generator().manual_seed(1))
    after = before.clone()
    after[:, 0] += 1.5  # a call adds three to the logit,
    after[:, 1] += 12  # and is told by another statistic
    return before, after


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_calls_are_judged_as_they_were_before_them(model: WavLMForStatistics, share: float) -> None:
    before, after = windows_and_calls(model)
    real = torch.arange(400) % 2 == 0
    untouched = logits(model, before)
    torch.testing.assert_close(untouched, 2 * before[:, 0] + 0.5, atol=1e-3, rtol=1e-3)
    plan = Offset(ridge=1e-4, share=share, ramp=1.0)
    assert voice_calls_offset.install(model, before, after, real, plan) == pytest.approx(3 * share, abs=0.01)
    torch.testing.assert_close(logits(model, before), untouched, atol=0.1, rtol=0)
    torch.testing.assert_close(logits(model, after), untouched + 3 * (1 - share), atol=0.1, rtol=0)


def test_between_call_and_none_a_part_is_taken_off(model: WavLMForStatistics) -> None:
    before, after = windows_and_calls(model)
    plan = Offset(ridge=1e-4, share=1.0, ramp=50.0)  # so wide that no window is at its end
    untouched = logits(model, before)
    voice_calls_offset.install(model, before, after, torch.ones(400, dtype=torch.bool), plan)
    taken = untouched - logits(model, before), untouched + 3 - logits(model, after)
    assert 0 < taken[0].mean() < 1.5 < taken[1].mean() < 3


def test_statistics_are_those_that_the_head_sees(model: WavLMForStatistics) -> None:
    windows = np.random.default_rng(2).normal(0, 3000, (3, WINDOW)).astype(np.int16)
    seen = voice_calls_offset.statistics(model, windows[:1], windows[1:])
    assert seen.shape == (3, statistics_width(model.config))
    samples = torch.from_numpy(windows.astype(np.float32))
    normal = (samples - samples.mean(1, keepdim=True)) / samples.std(1, keepdim=True, unbiased=False)
    with torch.inference_mode():
        expected = model(normal).logits
    torch.testing.assert_close(logits(model, seen), expected[:, 1] - expected[:, 0], atol=0.05, rtol=0.02)

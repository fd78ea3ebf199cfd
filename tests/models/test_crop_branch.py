"""The branches beside a face model's layers."""

import pytest
import torch

from models.crop_branch import SIDE, CropBranch, middle, together


def test_the_middle_is_what_lies_around_the_centre() -> None:
    rows = torch.arange(128.0).view(1, 1, 128, 1).expand(1, 3, 128, 128)
    cut = middle(rows, 88)
    assert cut.shape == (1, 3, SIDE, SIDE)
    assert cut[0, 0, :, 0].mean() == pytest.approx(63.5, abs=0.01)
    assert cut[0, 0, 0, 0] == pytest.approx(20, abs=0.6)
    torch.testing.assert_close(middle(rows.transpose(2, 3), 88), cut.transpose(2, 3))


def test_the_middle_of_fewer_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="given 57 x 57 pixels"):
        middle(torch.zeros(1, 3, 56, 80), 57)


def test_only_the_middle_decides() -> None:
    branch = CropBranch(64)  # in training, its norms keep differences alive through random weights
    pictures = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    around, within = pictures.clone(), pictures.clone()
    around[:, :, :12] = 0
    within[:, :, 40:50] = 0
    with torch.inference_mode():
        first, second, third = (branch(each) for each in (pictures, around, within))
    assert first.shape == (2,)
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, third)


def test_branches_are_put_together_by_their_mean_probability() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.0, 40.0], [2.0, 3.0, 0.0, 40.0]])
    mean = torch.sigmoid(logits).mean(0)
    found = together(logits)
    torch.testing.assert_close(torch.sigmoid(found)[:3], mean[:3], atol=2e-3, rtol=0)
    assert 6 < found[3] < 7, "no branch is surer than that"
    torch.testing.assert_close(together(-logits), -found)
    assert torch.isfinite(together(logits.bfloat16())).all()

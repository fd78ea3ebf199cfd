"""The blocks of the face model's convolutions."""

import pytest
import torch

from models.inverted_residual import Residual


@pytest.mark.parametrize(("before", "after", "stride", "adds"), [(8, 8, 1, True), (8, 8, 2, False), (8, 12, 1, False)])
def test_the_input_is_added_where_it_has_the_same_shape(before: int, after: int, stride: int, adds: bool) -> None:
    residual = Residual(before, after, 16, stride, torch.nn.PReLU, weighs=True).train(False)
    for weight in residual.layers[-1].parameters():
        torch.nn.init.zeros_(weight)
    values = torch.rand(1, before, 8, 8)
    found = residual(values)
    assert found.shape == (1, after, 8 // stride, 8 // stride)
    torch.testing.assert_close(found, values if adds else torch.zeros_like(found))

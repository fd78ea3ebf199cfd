"""The pair's maps as targets of the model's."""

import numpy as np
import torch

from lab.training.face_hints import Hints, Maps, Standard, targets
from lab.training.face_pair import PairOutput, PublishedPair
from lab.training.face_views import PAIR_SIDE, SIDE
from tests.published import WEIGHTS, needs_weights


def maps(count: int) -> Maps:
    return Maps(
        *(torch.randn(count, channels, SIDE // by, SIDE // by) for channels, by in ((6, 8), (10, 16), (12, 16)))
    )


@needs_weights
def test_each_hint_has_the_shape_of_its_target() -> None:
    pictures = torch.rand(3, 3, PAIR_SIDE, PAIR_SIDE)
    output = PublishedPair(WEIGHTS, 1).judge(pictures, pictures)
    near = torch.tensor([[20.0, 20.0, 100.0, 100.0]] * 3)
    hints = Hints(6, 10, 12)(maps(3), near)
    wanted = targets(output)
    assert [hint.shape for hint in hints] == [target.shape for target in wanted]


def test_the_near_hints_come_from_where_the_near_crop_lies() -> None:
    """What lies outside of it changes the hints of the wide crop alone."""
    before, near = maps(1), torch.tensor([[32.0, 32.0, 96.0, 96.0]])
    hints = Hints(6, 10, 12)
    corner = Maps(*(each.clone() for each in before))
    for each in corner:
        each[:, :, 0, 0] += 1
    changed = [
        not torch.equal(first, second) for first, second in zip(hints(before, near), hints(corner, near), strict=True)
    ]
    assert changed == [False, True, True, False, True]


def test_wide_maps_are_brought_to_the_models_places() -> None:
    whole = [torch.full((2, channels, edge, edge), 3.0) for channels, edge in ((64, 20), (128, 10), (128, 5))]
    found = targets(PairOutput(torch.zeros(2), torch.zeros(2, 256), whole, whole))
    assert [tuple(each.shape[1:]) for each in found] == [
        (128, 10, 10), (64, 16, 16), (128, 8, 8), (128, 5, 5), (128, 5, 5),
    ]  # fmt: skip
    assert all(bool((each == 3).all()) for each in found)


def test_channels_are_standardised_each_by_its_own() -> None:
    rng = np.random.default_rng(0)
    batches = [torch.from_numpy(rng.normal([[[3.0]], [[-5.0]]], [[[2.0]], [[0.5]]], (50, 2, 4, 4))) for _ in range(3)]
    standard = Standard.of(batches)
    values = standard(torch.cat(batches))
    torch.testing.assert_close(values.mean((0, 2, 3)), torch.zeros(2, dtype=values.dtype), atol=1e-6, rtol=0)
    torch.testing.assert_close(values.std((0, 2, 3)), torch.ones(2, dtype=values.dtype), atol=1e-2, rtol=0)

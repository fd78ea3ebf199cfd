"""The same face, cut as the model and as each of the published pair is given it."""

import numpy as np
import torch

from bonafide.photo.preparation import around_face
from lab.training.face_views import FACE_FACTOR, NEAR_FACTOR, PAIR_SIDE, SIDE, Views, as_cut, cut, for_pair, moved

WIDER = 256
FACE = np.array([108, 106, 144, 150], np.int16)
"""With room for the wide crop around it, wherever it is found."""


def places(side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture whose red and green say where a pixel lies."""
    axis = np.round(np.arange(side) * 255 / side).astype(np.uint8)
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([columns, rows, np.zeros_like(rows)], 2)


def test_a_box_is_cut_and_resized() -> None:
    plane = torch.arange(64, dtype=torch.float32).view(1, 1, 8, 8)
    assert torch.equal(cut(plane, torch.tensor([[2.0, 1.0, 6.0, 5.0]]), 4), plane[:, :, 1:5, 2:6])
    halved = cut(plane, torch.tensor([[0.0, 0.0, 8.0, 8.0]]), 4)
    torch.testing.assert_close(halved, torch.nn.functional.avg_pool2d(plane, 2))


def test_the_near_crop_lies_in_the_wide_one_where_the_face_is() -> None:
    """Read off the colours: both crops of each face have one middle, and widths in the ratio of their factors."""
    count = 40
    pictures, boxes = np.stack([places(WIDER)] * count), np.stack([FACE] * count)
    views = moved(pictures, boxes, np.random.default_rng(1))
    near, wide = for_pair(views)
    assert near.shape == wide.shape == (count, 3, PAIR_SIDE, PAIR_SIDE)
    middles = [each[:, :2].mean((2, 3)) * WIDER for each in (near, wide)]
    assert (middles[0] - middles[1]).abs().max() < 2.5
    edges = [(each[:, 0, 0, -1] - each[:, 0, 0, 0]).abs() for each in (near, wide)]
    np.testing.assert_allclose(edges[0] / edges[1], NEAR_FACTOR / FACE_FACTOR, atol=0.04)
    mirrored = wide[:, 0, 0, 0] > wide[:, 0, 0, -1]
    assert 8 < int(mirrored.sum()) < 32
    wanted = torch.tensor([FACE[0] + FACE[2], FACE[1] + FACE[3]]) / 2
    assert (middles[1].mean(0) - wanted).abs().max() < 4, "about where it was found"
    assert middles[1].std(0).min() > 1, "and each time elsewhere"
    assert len({round(float(edge), 3) for edge in edges[1]}) > 10, "and differently large"


def test_without_room_both_crops_are_the_whole() -> None:
    """As of a photo in which no face was found."""
    whole = np.array([[0, 0, WIDER, WIDER]], np.int16)
    views = moved(places(WIDER)[None], whole, np.random.default_rng(2))
    assert torch.equal(views.near, torch.tensor([[0.0, 0.0, SIDE, SIDE]]))
    near, wide = for_pair(views)
    torch.testing.assert_close(near, wide, atol=1e-5, rtol=0)


def test_a_crop_as_the_service_cuts_it_stays_as_it_is() -> None:
    face = np.array([50, 40, 78, 80], np.int16)
    picture = places(SIDE)
    views = as_cut(picture[None], face[None])
    assert np.array_equal((views.wide * 255).numpy()[0].transpose(1, 2, 0).round(), picture)
    assert views.near.tolist() == [list(around_face((50, 40, 78, 80), NEAR_FACTOR, (SIDE, SIDE)))]
    assert isinstance(views, Views)

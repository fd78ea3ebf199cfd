"""Bilinear resizing of four pixels for each, against torch's without antialiasing."""

import numpy as np
import pytest
import torch

from bonafide.photo.image import prepare
from bonafide.photo.plain_bilinear import resized
from models.info import ImageGeometry
from tests.media import photo

SIZES = [(300, 260), (81, 79), (40, 50), (80, 80), (777, 103)]


@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_plain_filter(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    plain = torch.nn.functional.interpolate(planes, (64, 80), mode="bilinear", align_corners=False, antialias=False)
    made = resized(pixels, 80, 64)
    assert made.shape == (64, 80, 3)
    assert np.abs(made - plain[0].permute(1, 2, 0).numpy()).max() < 0.51


def test_a_model_may_ask_for_it() -> None:
    geometry = ImageGeometry(None, 20, 30, None, None, 2, antialias=False)
    assert np.array_equal(prepare(photo(), geometry), resized(np.asarray(photo()), 30, 20))
    antialiased = prepare(photo(), ImageGeometry(None, 20, 30, None, None, 2))
    assert not np.array_equal(prepare(photo(), geometry), antialiased)

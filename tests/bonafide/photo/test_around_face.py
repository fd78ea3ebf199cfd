"""What a model with a factor of its own is given of a photo: the face's box, larger, within the picture."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bonafide.photo.faces import Box
from bonafide.photo.image import prepare
from bonafide.photo.preparation import around_face, possible_reduction
from bonafide.photo.quality import Reason
from bonafide.photo.reduced import ReducedPhoto
from models.info import ImageGeometry
from tests.bonafide.photo.test_reader import png, reader
from tests.bonafide.photo.test_reduced import rules
from tests.media import encode_image
from tests.portraits import no_face, portrait, two_faces

FACTOR = ImageGeometry(None, 80, 80, None, None, 2, antialias=False, face_factor=2.7)


@pytest.mark.parametrize(
    ("box", "factor", "size", "expected"),
    [
        ((40, 40, 60, 60), 2.0, (100, 100), (30, 30, 70, 70)),
        ((40, 30, 60, 70), 2.0, (100, 100), (30, 10, 70, 90)),  # of the box's shape
        ((40, 40, 60, 60), 1.0, (100, 100), (40, 40, 60, 60)),
        ((0, 0, 20, 20), 2.0, (100, 100), (0, 0, 40, 40)),  # shifted
        ((85, 80, 95, 100), 3.0, (100, 100), (70, 40, 100, 100)),
        ((40, 30, 60, 70), 4.0, (100, 100), (25, 0, 75, 100)),  # shrunk to 2.5 times
        ((0, 30, 20, 70), 4.0, (100, 100), (0, 0, 50, 100)),
    ],
)
def test_a_box_times_a_factor(box: Box, factor: float, size: tuple[int, int], expected: Box) -> None:
    assert around_face(box, factor, size) == expected


@given(st.integers(4, 500), st.integers(4, 500), st.floats(1, 10), st.tuples(*[st.integers(0, 499)] * 4))
def test_it_stays_in_the_picture_holds_the_face_and_keeps_its_shape(
    width: int, height: int, factor: float, place: tuple[int, int, int, int]
) -> None:
    left, top = place[0] % width, place[1] % height
    right, bottom = left + 1 + place[2] % (width - left), top + 1 + place[3] % (height - top)
    found = around_face((left, top, right, bottom), factor, (width, height))
    assert 0 <= found[0] < found[2] <= width
    assert 0 <= found[1] < found[3] <= height
    assert found[0] - 1 <= left < right <= found[2] + 1
    assert found[1] - 1 <= top < bottom <= found[3] + 1
    scaled = (found[2] - found[0]) / (right - left), (found[3] - found[1]) / (bottom - top)
    assume(min(right - left, bottom - top) >= 10)
    assert scaled[0] == pytest.approx(scaled[1], abs=0.11)
    assert max(scaled) <= factor + 0.06


def test_the_largest_face_is_given_whatever_the_settings_say() -> None:
    faces = two_faces(0.7)
    for settings in ({}, {"face_crop": True, "face_crop_margin": 0.1}):
        read = reader(**settings).read(png(faces), FACTOR)
        judged = around_face(read.faces[0].box(faces.size), 2.7, faces.size)
        assert np.array_equal(read.pixels, prepare(faces.crop(judged), FACTOR))


def test_without_a_face_the_whole_picture_is_given() -> None:
    read = reader().read(png(no_face()), FACTOR)
    assert (read.reason, read.faces) == ("no_face", ())
    assert np.array_equal(read.pixels, prepare(no_face(), FACTOR))


def test_the_photo_is_decoded_at_full_size() -> None:
    assert possible_reduction((4000, 4000), (), FACTOR, None, 48.0) == 1
    whole = ImageGeometry(None, 80, 80, None, None, 2, antialias=False)
    assert possible_reduction((4000, 4000), (), whole, None, 48.0) == 1
    assert possible_reduction((4000, 4000), (), ImageGeometry(None, 80, 80, None, None, 2), None, 48.0) > 1


def test_a_face_is_small_only_if_it_is_for_all() -> None:
    """Both are given a face of 200 pixels in its crop; one of them sees 20 of these."""
    whole = ImageGeometry(None, 512, 512, None, None, 2)
    tiny = ImageGeometry(None, 40, 40, None, None, 2)
    read = reader(face_min_pixels=48.0)
    data = png(portrait())
    reasons = [read.read(data, *geometries).reason for geometries in ([whole], [tiny], [whole, tiny], [tiny, tiny])]
    assert reasons == [None, Reason.SMALL_FACE, None, Reason.SMALL_FACE]


@pytest.mark.parametrize("factors", [[2.7], [4.0], [2.7, 4.0]])
def test_a_model_of_few_pixels_does_not_make_every_face_small(factors: list[float]) -> None:
    """It is given 30 of a face, or 20, as in its training: what counts are those of the photo."""
    geometries = [ImageGeometry(None, 80, 80, None, None, 2, antialias=False, face_factor=each) for each in factors]
    large = portrait()
    (face,) = reader().read(png(large), *geometries).faces
    side = min(face.width * large.width, face.height * large.height)
    for pixels, expected in ((60, None), (36, Reason.SMALL_FACE)):
        scale = pixels / side
        photo = large.resize((round(large.width * scale), round(large.height * scale)))
        assert reader(face_min_pixels=48.0).read(png(photo), *geometries).reason == expected


def test_a_photo_is_decoded_as_large_as_the_most_demanding_member_needs() -> None:
    data = encode_image(portrait().resize((3200, 3200)), "JPEG")
    small, large = (ImageGeometry(None, side, side, None, None, 2) for side in (80, 500))
    sizes = [ReducedPhoto(data, rules(None), given).image.width for given in ([small], [large], [small, large])]
    assert sizes[0] < sizes[1] == sizes[2]

"""From bytes to what the model is given: the whole picture, or its largest face."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bonafide.errors import TooLarge, UnreadableMedia
from bonafide.photo.faces import Box
from bonafide.photo.image import prepare
from bonafide.photo.preparation import with_margin
from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from models.info import ImageGeometry
from tests.media import encode_image
from tests.portraits import FACE, black, blurred_face, dark_face, no_face, portrait, small_face, two_faces

GEOMETRY = ImageGeometry(224, None, None, 192, 192, 3)


def reader(**given: Any) -> PhotoReader:
    return PhotoReader(PhotoRules.from_settings(Settings(decode_threads=2, **given)))


def png(picture: Image.Image) -> bytes:
    return encode_image(picture, "PNG")


@pytest.mark.parametrize(
    ("picture", "reason", "faces"),
    [
        (portrait(), None, 1),
        (no_face(), "no_face", 0),
        (black(), "no_face", 0),
        (two_faces(), "several_faces", 2),
        (two_faces(0.7), "several_faces", 2),
        (small_face(), "small_face", 1),
        (dark_face(), "dark", 1),
        (blurred_face(), "blurred", 1),
    ],
)
@pytest.mark.parametrize("crop", [False, True])
def test_the_reason_and_the_faces(picture: Image.Image, reason: str | None, faces: int, crop: bool) -> None:
    read = reader(face_crop=crop).read(png(picture), GEOMETRY)
    assert read.reason == reason
    assert len(read.faces) == faces
    assert read.pixels.shape == (192, 192, 3)
    assert read.pixels.dtype == np.uint8


def test_limits_are_settings() -> None:
    def reason(picture: Image.Image, **given: Any) -> str | None:
        return reader(**given).read(png(picture), GEOMETRY).reason

    assert reason(two_faces(0.7), face_several_share=0.9, face_min_pixels=0) is None
    assert reason(small_face(), face_min_pixels=10) is None
    assert reason(dark_face(), face_min_brightness=5) != "dark"
    assert reason(blurred_face(), face_min_sharpness=0.001) is None
    assert reason(portrait(), face_min_pixels=180) == "small_face"


def test_the_whole_picture_is_judged_unless_told_otherwise() -> None:
    read = reader().read(png(portrait()), GEOMETRY)
    assert np.array_equal(read.pixels, prepare(portrait(), GEOMETRY))


def test_with_the_setting_the_largest_face_is_judged() -> None:
    faces = two_faces(0.7)
    as_it_is = ImageGeometry(None, None, None, None, None, 3)
    pixels = reader(face_crop=True, face_crop_margin=0.25).read(png(faces), as_it_is).pixels
    found = reader().read(png(faces), as_it_is).faces[0].box(faces.size)
    expected = with_margin(found, 0.25, faces.size)
    assert np.array_equal(pixels, np.asarray(faces.crop(expected)))
    assert pixels.shape[0] == pixels.shape[1] == pytest.approx(1.5 * (FACE[2] - FACE[0]), rel=0.1)


def test_without_a_face_the_whole_picture_is_judged() -> None:
    read = reader(face_crop=True).read(png(no_face()), GEOMETRY)
    assert np.array_equal(read.pixels, prepare(no_face(), GEOMETRY))


def test_a_small_face_of_many_pixels_is_large_enough_when_cropped() -> None:
    picture = small_face().resize((1600, 2000))
    assert reader().read(png(picture), GEOMETRY).reason == "small_face"
    assert reader(face_crop=True, face_min_sharpness=0).read(png(picture), GEOMETRY).reason is None


def test_a_face_is_found_in_a_photo_that_lies_on_its_side() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode_image(portrait().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    read = reader().read(data, GEOMETRY)
    assert read.reason is None
    assert read.faces[0].left == pytest.approx(FACE[0] / 320, abs=0.03)


def test_what_cannot_be_read() -> None:
    with pytest.raises(UnreadableMedia):
        reader().read(b"no photo", GEOMETRY)
    with pytest.raises(TooLarge):
        reader(max_image_pixels=1000).read(png(portrait()), GEOMETRY)


@pytest.mark.parametrize(
    ("box", "margin", "size", "expected"),
    [
        ((40, 40, 60, 60), 0.5, (100, 100), (30, 30, 70, 70)),
        ((40, 40, 60, 60), 0.0, (100, 100), (40, 40, 60, 60)),
        ((40, 45, 60, 55), 0.0, (100, 100), (40, 40, 60, 60)),  # a square all the same
        ((0, 0, 20, 20), 0.5, (100, 100), (0, 0, 40, 40)),  # moved into the picture
        ((85, 80, 100, 100), 0.5, (100, 100), (60, 60, 100, 100)),
        ((40, 40, 60, 60), 4.0, (100, 100), (0, 0, 100, 100)),
        ((5, 40, 25, 60), 1.0, (30, 100), (0, 20, 30, 80)),  # too narrow for a square
    ],
)
def test_a_margin(box: Box, margin: float, size: tuple[int, int], expected: Box) -> None:
    assert with_margin(box, margin, size) == expected


@given(st.data(), st.integers(1, 500), st.integers(1, 500), st.floats(0, 4))
def test_a_margin_stays_in_the_picture_and_holds_the_face(
    data: st.DataObject, width: int, height: int, margin: float
) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    found = with_margin((left, top, right, bottom), margin, (width, height))
    assert 0 <= found[0] <= left < right <= found[2] <= width
    assert 0 <= found[1] <= top < bottom <= found[3] <= height

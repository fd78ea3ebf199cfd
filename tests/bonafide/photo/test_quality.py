"""Each reason by itself, and which of several is reported."""

import pytest
from PIL import Image

from bonafide.photo.faces import Box, Face
from bonafide.photo.quality import QualityLimits, Reason, brightness, luminance, reason_against, seen_pixels, sharpness
from bonafide.settings import Settings
from models.info import ImageGeometry
from tests.portraits import FACE, blurred_face, dark_face, portrait

LIMITS = QualityLimits.from_settings(Settings())
GEOMETRY = ImageGeometry(224, None, None, 192, 192, 3)
AS_IT_IS = ImageGeometry(None, None, None, None, None, 3)
ONE = Face(FACE[0] / 320, FACE[1] / 400, (FACE[2] - FACE[0]) / 320, (FACE[3] - FACE[1]) / 400, 0.9)


def reason(picture: Image.Image, *faces: Face) -> Reason | None:
    return reason_against(picture, faces, (0, 0, *picture.size), GEOMETRY, LIMITS)


def face_of(share: float) -> Face:
    """As many times the size of the portrait's face, in a corner."""
    return Face(0.0, 0.0, ONE.width * share, ONE.height * share, 0.8)


def test_a_good_photo_has_none() -> None:
    assert reason(portrait(), ONE) is None


def test_no_face() -> None:
    assert reason(portrait()) == Reason.NO_FACE


def test_another_face_counts_from_a_share_of_the_largest_one() -> None:
    assert reason(portrait(), ONE, face_of(LIMITS.several_share * 1.01)) == Reason.SEVERAL_FACES
    assert reason(portrait(), ONE, face_of(LIMITS.several_share * 0.99)) is None


def test_dark_and_blurred() -> None:
    assert reason(dark_face(), ONE) == Reason.DARK
    assert reason(blurred_face(), ONE) == Reason.BLURRED


def test_the_gravest_is_told() -> None:
    black = Image.new("RGB", (320, 400))
    tiny = Face(0.5, 0.5, 0.01, 0.01, 0.8)
    assert reason(black) == Reason.NO_FACE
    assert reason(black, tiny, tiny) == Reason.SEVERAL_FACES
    assert reason(black, tiny) == Reason.SMALL_FACE
    assert reason(black, ONE) == Reason.DARK
    assert list(Reason) == ["no_face", "several_faces", "small_face", "dark", "blurred"]


@pytest.mark.parametrize(
    ("box", "judged", "geometry", "pixels"),
    [
        ((100, 100, 200, 220), (0, 0, 320, 400), AS_IT_IS, 100),
        ((100, 100, 200, 220), (0, 0, 448, 448), GEOMETRY, 50),  # shrunk to half
        ((10, 10, 50, 60), (0, 0, 112, 112), GEOMETRY, 40),  # enlarging adds nothing
        ((0, 0, 100, 100), (0, 0, 224, 224), GEOMETRY, 84),  # 16 pixels are cut off
        ((0, 100, 100, 200), (0, 0, 896, 224), GEOMETRY, 0),  # outside of the middle
        ((300, 100, 400, 200), (250, 50, 450, 250), GEOMETRY, 100),  # in a part of the photo
        ((10, 10, 60, 60), (0, 0, 100, 100), ImageGeometry(None, 50, 25, None, None, 3), 12.5),  # squeezed
        ((10, 10, 60, 60), (0, 0, 100, 100), ImageGeometry(None, None, None, 224, 224, 3), 50),  # with a black border
    ],
)
def test_what_the_model_sees_of_a_face(box: Box, judged: Box, geometry: ImageGeometry, pixels: float) -> None:
    assert seen_pixels(box, judged, geometry) == pytest.approx(pixels)


def test_the_measures_follow_what_they_measure() -> None:
    lights = [brightness(luminance(dark_face(light), FACE)) for light in (1.0, 0.5, 0.2, 0.0)]
    assert lights == pytest.approx([lights[0], lights[0] / 2, lights[0] / 5, 0], abs=1)
    edges = [sharpness(luminance(blurred_face(radius), FACE)) for radius in (0.0, 1.0, 2.0, 4.0)]
    assert edges == sorted(edges, reverse=True)
    assert sharpness(luminance(dark_face(0.5), FACE)) == pytest.approx(edges[0], rel=0.05)
    assert sharpness(luminance(Image.new("RGB", (9, 9), "white"), (0, 0, 9, 9))) == 0


@pytest.mark.parametrize("scale", [1.0, 2.0, 6.0])
def test_the_size_of_the_photo_hardly_changes_them(scale: float) -> None:
    left, top, right, bottom = (round(edge * scale) for edge in FACE)
    light = luminance(portrait().resize((round(320 * scale), round(400 * scale))), (left, top, right, bottom))
    usual = luminance(portrait(), FACE)
    assert brightness(light) == pytest.approx(brightness(usual), rel=0.02)
    assert sharpness(light) == pytest.approx(sharpness(usual), rel=0.3)

"""Large JPEGs are decoded at a part of their size: the model is given the same, and the reasons are the same."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image

from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.image import REDUCING_GAP, ImageLimits, prepare, read_image, read_reduced
from bonafide.photo.preparation import around_face, possible_reduction, prepared
from bonafide.photo.quality import QualityLimits
from bonafide.photo.reader import PhotoReader
from bonafide.photo.reduced import ReducedPhoto
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from models.configured import load_options
from models.face_model import FaceSpoofModel
from models.info import ImageGeometry
from scripts.local_service import ROOT
from tests.media import encode_image
from tests.portraits import portrait, small_face

SETTINGS = Settings()
LIMITS = ImageLimits.from_settings(SETTINGS)
QUALITY = QualityLimits.from_settings(SETTINGS)
GEOMETRY = ImageGeometry(256, None, None, 224, 224, 3)


def jpeg(picture: Image.Image, width: int, **options: object) -> bytes:
    size = width, round(width * picture.height / picture.width)
    return encode_image(picture.resize(size), "JPEG", quality=90, **options)


def finder() -> FaceDetector:
    return FaceDetector.of_process()


def rules(crop_margin: float | None) -> PhotoRules:
    return PhotoRules(LIMITS, QUALITY, crop_margin)


def reader(crop_margin: float | None) -> PhotoReader:
    return PhotoReader(rules(crop_margin))


@pytest.mark.parametrize(
    ("width", "crop_margin", "progressive"),
    [
        (1600, None, False),
        (1600, 1.0, True),
        (2880, None, True),
        (2880, 1.0, False),
        (3024, None, False),
        (3024, 1.0, True),
    ],
)
def test_the_model_is_given_the_same(width: int, crop_margin: float | None, progressive: bool) -> None:
    data = jpeg(portrait(), width, progressive=progressive)
    got = reader(crop_margin).read(data, GEOMETRY)
    full = read_image(data, LIMITS)
    pixels, reason = prepared(full, finder().find(full), GEOMETRY, QUALITY, crop_margin)
    difference = np.abs(got.pixels.astype(int) - pixels.astype(int))
    assert difference.mean() < 0.5
    assert difference.max() <= (3 if crop_margin is None else 0)
    assert got.reason == reason


@pytest.mark.parametrize("width", [1600, 2880, 3024])
def test_a_face_that_a_model_cuts_out_itself_is_nearly_the_same(width: int) -> None:
    """The cut moves by a fraction of the model's pixels."""
    geometry = ImageGeometry(None, 192, 192, None, None, 3, face_factor=2.0)
    data = jpeg(portrait(), width)
    photo = ReducedPhoto(data, rules(None), [geometry])
    assert photo.image.width < width
    got = reader(None).read(data, geometry)
    full = read_image(data, LIMITS)
    pixels, reason = prepared(full, finder().find(full), geometry, QUALITY, None)
    assert np.abs(got.pixels.astype(int) - pixels.astype(int)).mean() < 2.5
    assert got.reason == reason


def test_what_a_model_cuts_out_itself_is_decoded_large_enough() -> None:
    geometry = ImageGeometry(None, 192, 192, None, None, 3, face_factor=2.0)
    data = jpeg(small_face(0.3), 3200)
    photo = ReducedPhoto(data, rules(None), [geometry])
    faces = finder().find(photo.image)
    photo.enlarge_for(faces)
    left, top, right, bottom = around_face(faces[0].box(photo.image.size), 2.0, photo.image.size)
    assert min(right - left, bottom - top) >= REDUCING_GAP * 192 or photo.image.width == 3200
    many = ReducedPhoto(data, PhotoRules(LIMITS, replace(QUALITY, min_pixels=1e6), None), [geometry])
    many.enlarge_for(faces)
    assert many.image.width == 3200


def test_a_large_photo_is_decoded_small() -> None:
    photo = ReducedPhoto(jpeg(portrait(), 3200), rules(None), [GEOMETRY])
    assert photo.image.size == (800, 1000)
    photo.enlarge_for(finder().find(photo.image))
    assert photo.image.size == (800, 1000)


def test_a_small_face_is_decoded_large() -> None:
    data = jpeg(small_face(0.3), 3200)
    photo = ReducedPhoto(data, rules(None), [GEOMETRY])
    assert photo.image.width < 3200 / 2
    faces = finder().find(photo.image)
    photo.enlarge_for(faces)
    assert photo.image.width >= 3200 / 2
    full = read_image(data, LIMITS)
    reasons = [prepared(image, faces, GEOMETRY, QUALITY, None)[1] for image in (photo.image, full)]
    assert reasons[0] == reasons[1]


def test_what_does_not_divide_is_decoded_whole() -> None:
    assert possible_reduction((4800, 3600), (), GEOMETRY, None, 48.0) == 4
    assert possible_reduction((4800, 3600), (), replace(GEOMETRY, resample=Image.Resampling.NEAREST), None, 48.0) == 1
    assert possible_reduction((4802, 3600), (), GEOMETRY, None, 48.0) == 2
    assert possible_reduction((4801, 3600), (), GEOMETRY, None, 48.0) == 1


def test_a_model_that_takes_photos_as_they_are_gets_all_pixels() -> None:
    assert possible_reduction((4000, 3000), (), ImageGeometry(None, None, None, None, None, 3), None, 48.0) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_as_at_full_size(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(portrait(), 1600, exif=exif)
    image, reduction = read_reduced(data, LIMITS, lambda size: 4 if size == read_image(data, LIMITS).size else 1)
    assert reduction == 4
    full = read_image(data, LIMITS)
    expected = full.resize(image.size, Image.Resampling.BOX)
    difference = np.abs(np.asarray(image).astype(int) - np.asarray(expected).astype(int))
    assert difference.mean() < 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_formats_are_decoded_whole(kind: str) -> None:
    image, reduction = read_reduced(encode_image(portrait(), kind), LIMITS, lambda _: 8)
    assert (image.size, reduction) == ((320, 400), 1)


@cache
def bundled() -> FaceSpoofModel:
    return FaceSpoofModel.load("bundled", load_options("face", SETTINGS))


@pytest.mark.parametrize("sample", ["face.jpg", "face_spoof.jpg"])
def test_the_score_is_the_same(sample: str) -> None:
    model = bundled()
    geometry = model.info.geometry
    assert geometry is not None
    with Image.open(ROOT / "samples" / sample) as picture:
        data = jpeg(picture.convert("RGB"), 3000)
    whole = prepare(read_image(data, LIMITS), geometry)
    reduced, full = model.score([reader(None).read(data, geometry).pixels, whole])
    assert abs(reduced - full) < 0.02

"""Sources of the faces: packages, the pictures used of them, and their subjects.

In: package names. Out: one `Portrait` per usable picture, with a subject that is unique over all packages.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse.csgraph import connected_components
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from lab.training.data.face_camera import Plane
from lab.training.data.packages import Package, fetch

log = logging.getLogger(__name__)

MIN_SIDE: Final = 100
"""Pictures with a shorter side than this many pixels are left out."""

SAME_PICTURE: Final = 0.9
"""Correlation from which two portraits are one picture, perhaps cropped: by visual inspection, every pair
above it was one person and none of the hundred below."""


@dataclass(frozen=True)
class Collection:
    """Pictures of one package.

    Attributes:
        package: The package.
        pattern: Glob of the pictures below its folder.
        people: Whether each picture shows one person and no person is in two pictures under two names.
            Collections of anything else (groups, the same celebrity again and again, rooms and tables)
            are used in training only.
    """

    package: Package
    pattern: str
    people: bool


@dataclass(frozen=True)
class Portrait:
    """One picture that may be photographed by the simulated camera.

    Attributes:
        path: The picture.
        subject: The person, or the picture itself where persons cannot be distinguished.
        source: Package it came from.
        licence: Licence of that package; it does not cover the people shown.
        person: Whether it is one person's portrait; false for scenes.
        face: Whether a frontal face was found.
    """

    path: Path
    subject: str
    source: str
    licence: str
    person: bool
    face: bool


_TABLER = Package("npm", "@tabler/preview", "MIT", "1.2.0")
COLLECTIONS: Final = (
    Collection(_TABLER, "package/dist/static/avatars/*.jpg", people=True),
    Collection(Package("npm", "tabler-ui", "MIT", "0.0.34"), "package/src/demo/faces/*male/*.jpg", people=True),
    Collection(Package("npm", "material-kit", "MIT", "2.0.4"), "package/assets/img/faces/*.jpg", people=True),
    Collection(_TABLER, "package/dist/static/photos/*.jpg", people=False),
    Collection(Package("npm", "@vladmandic/face-api", "MIT", "1.7.15"), "package/demo/sample*.jpg", people=False),
    Collection(Package("pypi-sdist", "facetorch", "Apache-2.0", "0.6.2"), "*/data/input/*.jpg", people=False),
    Collection(Package("pypi-sdist", "face_recognition", "MIT", "1.3.0"), "*/tests/test_images/*.jpg", people=False),
)


def find(collections: tuple[Collection, ...] = COLLECTIONS) -> list[Portrait]:
    """Fetches the packages and lists their usable pictures, sorted, persons merged over packages.

    Raises:
        FetchError: A package is not available.
    """
    detector = Cascade(lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]
    found: list[Portrait] = []
    for collection in collections:
        folder = fetch(collection.package)
        before = len(found)
        for path in sorted(folder.glob(collection.pattern)):
            picture = load(path)
            if min(picture.shape[:2]) < MIN_SIDE:
                continue
            name = f"{collection.package.source}/{path.parent.name}/{path.stem}"
            face = collection.people and has_face(picture, detector)
            found.append(
                Portrait(
                    path,
                    name,
                    collection.package.source,
                    collection.package.licence,
                    collection.people,
                    face,
                )
            )
        log.info("%s %s: %d pictures", collection.package.source, collection.pattern, len(found) - before)
    return merge_people(found)


def load(path: Path) -> Plane:
    """Reads a picture as float32 (h, w, 3) sRGB in 0..1, at most 1000 pixels on its shorter side."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    ratio = 1000 / min(rgb.size)
    if ratio < 1:
        rgb = rgb.resize((round(rgb.width * ratio), round(rgb.height * ratio)), Image.Resampling.LANCZOS)
    return np.asarray(np.asarray(rgb, np.float32) / 255, np.float32)


def has_face(picture: Plane, detector: Cascade) -> bool:
    """Whether the frontal-face cascade of scikit-image finds a face at least a fifth of the picture wide."""
    image = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    image.thumbnail((160, 160))
    side = min(image.size)
    return bool(
        detector.detect_multi_scale(
            img=np.asarray(image.convert("L")),
            scale_factor=1.15,
            step_ratio=1,
            min_size=(max(24, side // 5), max(24, side // 5)),
            max_size=(side, side),
        )
    )


def merge_people(portraits: list[Portrait]) -> list[Portrait]:
    """Gives portraits that are crops of one picture the same subject, whatever package they are in."""
    people = [index for index, portrait in enumerate(portraits) if portrait.person]
    if not people:
        return portraits
    alike = likeness([_grey(portraits[index].path) for index in people]) > SAME_PICTURE
    _, group = connected_components(alike, directed=False)
    names: dict[int, str] = {}
    merged = list(portraits)
    for index, number in zip(people, group, strict=True):
        subject = names.setdefault(int(number), portraits[index].subject)
        merged[index] = replace(portraits[index], subject=subject)
    log.info("%d portraits show %d people", len(people), len(names))
    return merged


def likeness(pictures: list[Image.Image]) -> NDArray[np.float32]:
    """How well the middle of each picture is found in each other one.

    Args:
        pictures: n grey images of 64 x 64 pixels.

    Returns:
        float32 (n, n), symmetric: the best correlation over places and eight sizes, at most 1.
    """
    middles = np.stack([_pattern(picture, (12, 12, 52, 52)) for picture in pictures])
    found = np.stack([(_windows(picture) @ middles.T).max(axis=0) for picture in pictures])
    return np.asarray(np.maximum(found, found.T), np.float32)


def _windows(picture: Image.Image) -> NDArray[np.float32]:
    patterns = []
    for share in (0.4, 0.46, 0.52, 0.6, 0.68, 0.78, 0.88, 1.0):
        places = np.linspace(0, 1 - share, max(1, round((1 - share) / (share * 0.08)) + 1)) * 64
        patterns += [_pattern(picture, (x, y, x + share * 64, y + share * 64)) for x in places for y in places]
    return np.stack(patterns)


def _pattern(picture: Image.Image, box: tuple[float, float, float, float]) -> NDArray[np.float32]:
    small = np.asarray(picture.resize((20, 20), Image.Resampling.BOX, box), np.float32).ravel()
    small = small - small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), np.float32)


def _grey(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("L").resize((64, 64), Image.Resampling.BICUBIC)

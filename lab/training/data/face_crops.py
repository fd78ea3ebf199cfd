"""Cuts faces out of the simulators' photos.

`python -m lab.training.data.face_crops` reads the manifests that `python -m lab.training.data.face` wrote for both
simulators. A face of the dev split is cut as the service cuts it; one of the training split with room around it, in
which training moves the cut.
"""

import argparse
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonafide.parent import end_with_parent
from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.image import prepare
from bonafide.photo.preparation import around_face
from lab.training.data.face import SIMULATORS, folder
from lab.training.data.manifest import SPOOF, Item, Split, read
from lab.training.data.packages import data_dir
from lab.training.face_views import FACE_FACTOR, SIDE
from models.atomic import atomic
from models.info import ImageGeometry

log = logging.getLogger(__name__)

_ROOM: Final = 5.0
"""The face's box times this is kept of a training photo."""
_WIDER: Final = 256
"""Pixels of that crop's edges."""


@dataclass(frozen=True)
class Crops:
    """Faces of one split.

    Attributes:
        pictures: uint8 (n, side, side, 3), RGB; on disk.
        boxes: of the face in its picture: left, top, right, bottom; all of the picture where no face was found;
            int16 (n, 4).
        spoof: 1 of attacks, 0 of live faces; int8 (n,).
        attack: of each, its kind; `-` where it is live.
        simulator: of each, which took the photo.
    """

    pictures: NDArray[np.uint8]
    boxes: NDArray[np.int16]
    spoof: NDArray[np.int8]
    attack: NDArray[np.str_]
    simulator: NDArray[np.str_]


def read_crops(split: Split) -> Crops:
    """What `write` wrote of a split.

    Raises:
        FileNotFoundError: it was not made yet.
    """
    path = data_dir() / "faces-crops" / f"{split}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: run python -m lab.training.data.face_crops first")
    with np.load(path) as others:
        return Crops(np.load(path.with_suffix(".npy"), mmap_mode="r"), **others)


def write(split: Split, factor: float, side: int, workers: int) -> None:
    """Makes the crops of a split: the face's box times `factor`, in pictures of `side` pixels."""
    rows = [
        (item, each) for each in SIMULATORS for item in read(folder(each) / "manifest.jsonl") if item.split == split
    ]
    path = data_dir() / "faces-crops" / f"{split}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    boxes = np.empty((len(rows), 4), np.int16)
    with atomic(path) as temporary:
        pictures = np.lib.format.open_memmap(temporary, "w+", np.uint8, (len(rows), side, side, 3))
        with ProcessPoolExecutor(workers, initializer=end_with_parent, initargs=(os.getpid(),)) as pool:
            plans = ((item, factor, side) for item, _ in rows)
            for place, (picture, box) in enumerate(pool.map(_cut_item, plans, chunksize=20)):
                pictures[place], boxes[place] = picture, box
                if place % 2000 == 1999:
                    log.info("%s: %d of %d crops", split, place + 1, len(rows))
        pictures.flush()
    with atomic(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            boxes=boxes,
            spoof=np.array([int(item.label == SPOOF) for item, _ in rows], np.int8),
            attack=np.array([item.attack for item, _ in rows]),
            simulator=np.array([simulator for _, simulator in rows]),
        )


def cut(image: Image.Image, factor: float, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """The largest face of a photo, or all of it where none is found.

    Returns:
        uint8 (side, side, 3), and the face's box in it, as `Crops.boxes`.
    """
    faces = FaceDetector.of_process().find(image)
    face = faces[0].box(image.size) if faces else (0, 0, *image.size)
    around = around_face(face, factor, image.size)
    part = image if around == (0, 0, *image.size) else image.crop(around)
    start, scale = np.array(around[:2] * 2), side / np.array([around[2] - around[0], around[3] - around[1]] * 2)
    box = np.clip(np.round((np.array(face) - start) * scale), 0, side).astype(np.int16)
    return prepare(part, ImageGeometry(None, side, side, None, None, Image.Resampling.BICUBIC)), box


def _cut_item(plan: tuple[Item, float, int]) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    item, factor, side = plan
    with Image.open(item.path) as image:
        return cut(image.convert("RGB"), factor, side)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.data.face_crops", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    write("dev", FACE_FACTOR, SIDE, options.workers)
    write("train", _ROOM, _WIDER, options.workers)
    log.info("crops: %s", data_dir() / "faces-crops")


if __name__ == "__main__":
    main()

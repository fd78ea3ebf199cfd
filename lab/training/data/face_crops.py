"""Cuts faces out of the simulators' photos, varies them, and asks a published pair of networks about each.

`python -m lab.training.data.face_crops --weights FOLDER` reads the manifests that `python -m lab.training.data.face`
wrote for both simulators. Faces are cut, as the service cuts them, to the box of the largest times `FACE_FACTOR`; each
of the pair is given the crop that its authors would.
"""

import argparse
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonafide.parent import end_with_parent
from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.faces import Box
from bonafide.photo.image import Size, prepare
from bonafide.photo.preparation import around_face
from lab.training.data.face import SIMULATORS, folder
from lab.training.data.face_variation import varied
from lab.training.data.manifest import SPOOF, Item, Split, read
from lab.training.data.packages import atomic, data_dir
from lab.training.face_pair import FACTORS, PublishedPair
from lab.training.face_photos import read_rgb
from models.info import ImageGeometry

log = logging.getLogger(__name__)

FACE_FACTOR: Final = max(FACTORS)
SIDE: Final = 192
"""Pixels of a crop's edges."""
_FINER = 320
"""Pixels of the edges while it is varied."""
_ROWS = 50
"""Photos that a process takes at a time."""
UNVARIED, BLENDED = 0.15, 0.15
"""Shares of training crops that stay as they are, and that are laid over another one, so that they have no label."""


@dataclass(frozen=True)
class Crops:
    """Faces of one split.

    Attributes:
        pictures: uint8 (n, `SIDE`, `SIDE`, 3), RGB; on disk.
        spoof: 1 of attacks, 0 of live faces, -1 of blends; int8 (n,).
        attack: of each, its kind; `-` where it is live, or a blend.
        simulator: of each, which took the photo.
        fake: what the pair says, log odds of fake, float32 (n,).
        seen: what its last layers see, float16 (n, `face_pair.WIDTH`).
    """

    pictures: NDArray[np.uint8]
    spoof: NDArray[np.int8]
    attack: NDArray[np.str_]
    simulator: NDArray[np.str_]
    fake: NDArray[np.float32]
    seen: NDArray[np.float16]


def crops_folder() -> Path:
    """Where `write` keeps them."""
    return data_dir() / "faces-crops"


def read_crops(split: Split) -> Crops:
    """What `write` wrote of a split.

    Raises:
        FileNotFoundError: it was not made yet.
    """
    path = crops_folder() / f"{split}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: run python -m lab.training.data.face_crops first")
    with np.load(path) as others:
        return Crops(np.load(path.with_suffix(".npy"), mmap_mode="r"), **others)


def write(split: Split, copies: int, weights: Path, seed: int, workers: int) -> None:
    """Makes the crops of a split; its photos themselves if there are no copies, varied ones otherwise."""
    rows = [
        (item, each) for each in SIMULATORS for item in read(folder(each) / "manifest.jsonl") if item.split == split
    ]
    # In an order in which photos of one person are far apart, so that blends are of two people.
    rows = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    plans = [(rows[at : at + _ROWS], copies, weights, seed + at) for at in range(0, len(rows), _ROWS)]
    crops_folder().mkdir(parents=True, exist_ok=True)
    parts: list[Crops] = []
    with atomic(crops_folder() / f"{split}.npy") as temporary:
        shape = (len(rows) * max(1, copies), SIDE, SIDE, 3)
        pictures = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
        with ProcessPoolExecutor(workers, initializer=_begin, initargs=(os.getpid(),)) as pool:
            done = 0
            for part in pool.map(_made, plans):
                pictures[done : done + len(part.spoof)] = part.pictures
                done += len(part.spoof)
                parts.append(part)
                if len(parts) % 40 == 0:
                    log.info("%s: %d of %d crops", split, done, len(pictures))
        pictures.flush()
    with atomic(crops_folder() / f"{split}.npz") as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            spoof=np.concatenate([part.spoof for part in parts]),
            attack=np.concatenate([part.attack for part in parts]),
            simulator=np.concatenate([part.simulator for part in parts]),
            fake=np.concatenate([part.fake for part in parts]),
            seen=np.concatenate([part.seen for part in parts]),
        )


def cut(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """The largest face of a photo, or all of it where none is found, uint8 (side, side, 3)."""
    return _cut(image, _face(image), side)


Plan = tuple[list[tuple[Item, str]], int, Path, int]


class _Drawn(NamedTuple):
    """A crop of `_FINER` pixels, what the first of the pair is given of it, the photo's place, and if it is a blend."""

    picture: NDArray[np.uint8]
    near: NDArray[np.uint8]
    place: int
    blended: bool


def _made(plan: Plan) -> Crops:
    rows, copies, weights, seed = plan
    rng = np.random.default_rng(seed)
    photos = [read_rgb(item.path) for item, _ in rows]
    drawn = list(_drawn(photos, [_face(photo) for photo in photos], copies, rng))
    opinion = _pair(weights).judge([(each.near, each.picture) for each in drawn])
    return Crops(
        np.stack([_small(each.picture) for each in drawn]),
        np.array([-1 if each.blended else int(rows[each.place][0].label == SPOOF) for each in drawn], np.int8),
        np.array(["-" if each.blended else rows[each.place][0].attack for each in drawn]),
        np.array([rows[each.place][1] for each in drawn]),
        opinion.fake,
        opinion.seen.astype(np.float16),
    )


def _drawn(
    photos: Sequence[Image.Image], faces: Sequence[Box | None], copies: int, rng: np.random.Generator
) -> Iterator[_Drawn]:
    for place, (photo, face) in enumerate(zip(photos, faces, strict=True)):
        if not copies:
            picture = _cut(photo, face, _FINER)
            yield _Drawn(picture, _nearer(picture, face, photo.size), place, blended=False)
        for _ in range(copies):
            found = face and _elsewhere(face, photo.size, rng)
            picture, kind = _cut(photo, found, _FINER), rng.random()
            blended = UNVARIED <= kind < UNVARIED + BLENDED
            if blended:
                other = int(rng.integers(len(photos)))
                share, over = rng.uniform(0.2, 0.8), _cut(photos[other], faces[other], _FINER)
                blend = share * varied(picture, rng).astype(np.float32) + (1 - share) * varied(over, rng)
                picture = np.round(blend).astype(np.uint8)
            elif kind >= UNVARIED:
                picture = varied(picture, rng)
            yield _Drawn(picture, _nearer(picture, found, photo.size), place, blended)


def _face(image: Image.Image) -> Box | None:
    faces = FaceDetector.of_process(1).find(image)
    return faces[0].box(image.size) if faces else None


def _around(face: Box | None, factor: float, size: Size) -> Box:
    return around_face(face, factor, size) if face else (0, 0, *size)


def _elsewhere(face: Box, size: Size, rng: np.random.Generator) -> Box:
    """The box a little larger, smaller or aside, as it would be found in another photo; inside the photo."""
    left, top, right, bottom = face
    edges = np.array([right - left, bottom - top]) * np.exp(rng.uniform(np.log(0.8), np.log(1.2)))
    middle = np.array([left + right, top + bottom]) / 2 + rng.normal(0, 0.04, 2) * edges
    start = np.clip(np.round(middle - edges / 2), 0, np.array(size) - 2)
    stop = np.clip(np.round(middle + edges / 2), start + 2, size)
    return int(start[0]), int(start[1]), int(stop[0]), int(stop[1])


def _nearer(picture: NDArray[np.uint8], face: Box | None, size: Size) -> NDArray[np.uint8]:
    """The part of a crop that the first of the pair is given; `size` is that of the photo in which `face` lies."""
    whole, near = (_around(face, factor, size) for factor in (FACE_FACTOR, min(FACTORS)))
    scale = len(picture) / np.array([whole[2] - whole[0], whole[3] - whole[1]])
    left, top = np.round((np.array(near[:2]) - whole[:2]) * scale).astype(int)
    right, bottom = np.round((np.array(near[2:]) - whole[:2]) * scale).astype(int)
    return picture[top:bottom, left:right]


def _cut(image: Image.Image, face: Box | None, side: int) -> NDArray[np.uint8]:
    box = _around(face, FACE_FACTOR, image.size)
    return prepare(image.crop(box), ImageGeometry(None, side, side, None, None, Image.Resampling.BICUBIC))


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


@cache
def _pair(weights: Path) -> PublishedPair:
    return PublishedPair(weights)


def _begin(parent: int) -> None:
    """What each process does first."""
    import torch

    end_with_parent(parent)
    torch.set_num_threads(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.data.face_crops", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--weights", type=Path, required=True, help="folder of the published pair's ONNX files")
    parser.add_argument("--copies", type=int, default=3, help="varied crops per training photo (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other crops (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    write("dev", 0, options.weights, options.seed, options.workers)
    write("train", options.copies, options.weights, options.seed, options.workers)
    log.info("crops: %s", crops_folder())


if __name__ == "__main__":
    main()

"""Makes the face data: fetches the packages, simulates photos of live faces and of attacks, writes the manifest.

`python -m lab.training.data.face` takes about a quarter of an hour; run again, it resumes. Everything
is in the cache folder (`$BONAFIDE_DATA_DIR`), nothing in the repository. `--simulator` chooses one of two: `bench`, a
picture in front of one kind of camera, or `handheld`, phones and webcams, displays foremost, and crops of faces.
"""

import argparse
import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np

from bonafide.parent import end_with_parent
from lab.training.data import face_handheld, face_photo, face_sources, face_split
from lab.training.data.face_attacks import PRINT, SCREEN, UNSEEN
from lab.training.data.face_camera import Plane
from lab.training.data.face_photo import LIVE
from lab.training.data.face_sources import Portrait
from lab.training.data.manifest import Item, Split, check_split, write
from lab.training.data.packages import data_dir
from models.atomic import atomic

log = logging.getLogger(__name__)

SPLITS: Final[tuple[Split, ...]] = ("test", "dev", "train")
Simulator = Literal["bench", "handheld"]
SIMULATORS: Final[tuple[Simulator, ...]] = ("bench", "handheld")
_TAKE: Final = {"bench": face_photo.take, "handheld": face_handheld.take}
_UNSEEN: Final[dict[Simulator, frozenset[str]]] = {"bench": UNSEEN, "handheld": frozenset()}


@dataclass(frozen=True)
class Shot:
    """One photo to take: the file, and all that decides what is in it."""

    path: Path
    portrait: Portrait
    background: Path
    kind: str
    split: Split
    seed: int
    simulator: Simulator = "bench"


def folder(simulator: Simulator = "bench") -> Path:
    """Folder of a simulator's photos and `manifest.jsonl`."""
    return data_dir() / ("faces" if simulator == "bench" else f"faces-{simulator}")


def plan(
    portraits: list[Portrait],
    root: Path,
    photos: dict[Split, int],
    scene_photos: int,
    seed: int,
    simulator: Simulator = "bench",
) -> list[Shot]:
    """Lists every photo to take, in an order that keeps classes balanced wherever it is cut off.

    Args:
        portraits: What `face_sources.find` found.
        root: Folder for the photos.
        photos: Split -> live photos per person; print and screen attacks get half of that each, in the
            test split the kinds that are not in training get as many as each of them.
        scene_photos: The same for scenes, which are used in training only.
        seed: Another seed, other photos.
        simulator: Which takes them.

    Returns:
        The photos of test, dev and train, in this order.
    """
    sides = face_split.assign(portraits)
    shots = []
    for split in SPLITS:
        behind = sorted(scene.path for scene in face_split.backgrounds(portraits, split))
        for turn in range(max(photos[split], scene_photos if split == "train" else 0) // 2):
            for portrait in sides[split]:
                if turn >= (photos[split] if portrait.person else scene_photos) // 2:
                    continue
                for place, kind in enumerate(_kinds(simulator, split, turn)):
                    name = f"{portrait.subject}/{portrait.path.stem}/{turn}-{place}"
                    key = int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())
                    path = root / split / ATTACK_FOLDER.get(kind, kind) / f"{key:016x}.jpg"
                    shots.append(Shot(path, portrait, behind[key % len(behind)], kind, split, key, simulator))
    return shots


def _kinds(simulator: Simulator, split: Split, turn: int) -> list[str]:
    """What one turn takes of a portrait: half of it live; of the attacks by `handheld` every fourth is a print."""
    if simulator == "handheld":
        return [LIVE, SCREEN, LIVE, PRINT if turn % 2 else SCREEN]
    return [LIVE, PRINT, LIVE, SCREEN, *(sorted(UNSEEN) if split == "test" else [])]


ATTACK_FOLDER: Final = {LIVE: "live"}


def item(shot: Shot) -> Item:
    """The manifest's row for a photo."""
    return Item(
        path=shot.path,
        label="bonafide" if shot.kind == LIVE else "spoof",
        subject=shot.portrait.subject,
        source=shot.portrait.source,
        licence=shot.portrait.licence,
        attack=shot.kind,
        split=shot.split,
        detail="person" if shot.portrait.person else "scene",
    )


def shoot(shot: Shot) -> None:
    """Takes one photo unless its file exists."""
    if shot.path.is_file():
        return
    rng = np.random.default_rng(shot.seed)
    picture = _picture(shot.portrait.path)
    if not shot.portrait.person:
        picture = _square(picture, rng)
    data = _TAKE[shot.simulator](picture, _picture(shot.background), shot.kind, shot.split, rng)
    with atomic(shot.path) as temporary:
        temporary.write_bytes(data)


def make(shots: Sequence[Shot], workers: int) -> None:
    """Takes all photos with that many processes and logs progress."""
    missing = [shot for shot in shots if not shot.path.is_file()]
    log.info("%d photos, %d of them to be taken", len(shots), len(missing))
    start = time.monotonic()
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(os.getpid(),)) as pool:
        for done, _ in enumerate(pool.map(shoot, missing, chunksize=20), 1):
            if done % 500 == 0:
                left = (time.monotonic() - start) / done * (len(missing) - done)
                log.info("%d of %d photos, %.0f s left", done, len(missing), left)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.data.face", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--simulator", choices=SIMULATORS, default="bench", help="which one (%(default)s)")
    parser.add_argument("--train", type=int, default=24, help="live photos per training person (%(default)s)")
    parser.add_argument("--dev", type=int, default=8, help="live photos per dev person (%(default)s)")
    parser.add_argument("--test", type=int, default=8, help="live photos per test person (%(default)s)")
    parser.add_argument("--scenes", type=int, default=14, help="the same per training scene (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other photos (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    simulator: Simulator = options.simulator
    photos: dict[Split, int] = {"train": options.train, "dev": options.dev, "test": options.test}
    root = folder(simulator)
    shots = plan(face_sources.find(), root, photos, options.scenes, options.seed, simulator)
    make(shots, options.workers)
    items = [item(shot) for shot in shots]
    check_split(items, _UNSEEN[simulator])
    write(items, root / "manifest.jsonl")
    for key, count in sorted(Counter((row.split, row.attack) for row in items).items()):
        people = len({row.subject for row in items if (row.split, row.attack) == key})
        log.info("%-5s %-10s %5d photos of %3d subjects", *key, count, people)
    log.info("manifest: %s", root / "manifest.jsonl")


@lru_cache(maxsize=48)
def _picture(path: Path) -> Plane:
    return face_sources.load(path)


def _square(picture: Plane, rng: np.random.Generator) -> Plane:
    """A random square part of a scene, so that one scene gives many pictures."""
    side = int(min(picture.shape[:2]) * rng.uniform(0.35, 0.9))
    top = int(rng.integers(picture.shape[0] - side + 1))
    left = int(rng.integers(picture.shape[1] - side + 1))
    return picture[top : top + side, left : left + side]


def _begin(parent: int) -> None:
    """What each process does first."""
    import torch

    end_with_parent(parent)
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()

"""The manifest that the face model's threshold is fitted to: portraits as packages have them, and simulated attacks.

`python -m lab.training.data.face_portraits`, after both simulators. Cameras that were not simulated took the portraits,
so that they resemble what a service is sent more than simulated live photos do. No training showed them to the model as
they are; those of training's people are in `dev` here, as dev has too few people for a threshold.
"""

import argparse
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.training.data import face_sources, face_split
from lab.training.data.face import SIMULATORS, folder
from lab.training.data.face_sources import Portrait
from lab.training.data.manifest import BONAFIDE, NO_ATTACK, SPOOF, Item, check_split, read, write
from lab.training.data.packages import data_dir

log = logging.getLogger(__name__)


def manifest() -> Path:
    """Where it is written."""
    return data_dir() / "faces-portraits" / "manifest.jsonl"


def rows(portraits: Iterable[Portrait], photos: Iterable[Item]) -> list[Item]:
    """One for each portrait of a person with a frontal face, and for each attack outside the training split.

    Args:
        portraits: What `face_sources.find` found.
        photos: Those of the simulators.
    """
    live = [
        Item(
            path=portrait.path,
            label=BONAFIDE,
            subject=portrait.subject,
            source=portrait.source,
            licence=portrait.licence,
            attack=NO_ATTACK,
            split="test" if face_split.side(portrait.subject) == "test" else "dev",
            detail="portrait",
        )
        for portrait in portraits
        if portrait.person and portrait.face
    ]
    return live + [photo for photo in photos if photo.label == SPOOF and photo.split != "train"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.data.face_portraits", description=(__doc__ or "").splitlines()[0]
    )
    parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    photos = [photo for each in SIMULATORS for photo in read(folder(each) / "manifest.jsonl")]
    items = rows(face_sources.find(), photos)
    check_split(items)
    write(items, manifest())
    for (split, attack), count in sorted(Counter((row.split, row.attack) for row in items).items()):
        log.info("%-5s %-10s %5d", split, attack, count)
    log.info("manifest: %s", manifest())


if __name__ == "__main__":
    main()

"""The splitting rule for faces: a person is always in the same split, determined by a hash of the name alone."""

import hashlib

from lab.training.data.face_sources import Portrait
from lab.training.data.manifest import Split


def side(subject: str) -> Split:
    """The split of a person: 60 % train, 15 % dev, 25 % test, the same on every machine and in every run."""
    share = int.from_bytes(hashlib.blake2b(subject.encode(), digest_size=4).digest()) / 2**32
    return "train" if share < 0.60 else "dev" if share < 0.75 else "test"


def assign(portraits: list[Portrait]) -> dict[Split, list[Portrait]]:
    """Assigns portraits and scenes to splits.

    People whose pictures show no face that a detector finds, and scenes, are used in training only; scenes
    of the other splits are backgrounds there (see `backgrounds`).
    """
    seen = {portrait.subject for portrait in portraits if portrait.face}
    sides: dict[Split, list[Portrait]] = {"train": [], "dev": [], "test": []}
    for portrait in portraits:
        if portrait.person:
            sides[side(portrait.subject) if portrait.subject in seen else "train"].append(portrait)
        elif side(portrait.subject) == "train":
            sides["train"].append(portrait)
    return sides


def backgrounds(portraits: list[Portrait], split: Split) -> list[Portrait]:
    """The scenes that may be backgrounds of the people of a split; no scene is in two splits."""
    return [portrait for portrait in portraits if not portrait.person and side(portrait.subject) == split]

"""What judges each branch: it learns from what it is given, as much as it counts, and from no site left out."""

from pathlib import Path

import numpy as np
import pytest

from lab.training.branch_judging import Judging, judge
from lab.training.branch_windows import Recorded, Shown
from lab.training.branches import Branches, logits
from lab.training.data.manifest import Item
from models.power_branch import PowerBranch
from models.spectral_branch import SpectralBranch

SITES = ("github:e1", "github:other")


def items(site: str, split: str = "train") -> list[Item]:
    """Of each class 20, spoofs first."""
    pairs = (("spoof", "x"), ("bonafide", "-"))
    return [Item(Path("a"), label, "a", site, "l", attack, split) for label, attack in pairs for _ in range(20)]  # type: ignore[arg-type]


def averages(width: int, place: int | None, seed: int) -> np.ndarray:
    """Of `items`: noise, and six deviations between the classes at one place."""
    found = np.random.default_rng(seed).normal(0, 1, (40, width)).astype(np.float32)
    if place is not None:
        found[:20, place] += 3
        found[20:, place] -= 3
    return found


@pytest.fixture
def branches() -> Branches:
    return Branches({"spectral_branch": SpectralBranch([3, 3, 3, 3, 3, 4]), "power_branch": PowerBranch([3, 4])})


def recorded(branches: Branches, place: int | None) -> Recorded:
    nothing = np.zeros((40, 0), np.int16)
    both = np.concatenate([averages(branches.width, place, 1), averages(branches.width, place, 2)])
    return Recorded(nothing, nothing, branches, items("pypi:words") * 2, both)


def apart(branches: Branches, seen: np.ndarray) -> float:
    """By how much the logits of spoof of `averages` differ between the classes."""
    found = branches.logits(seen)
    return float(found[:20].mean() - found[20:].mean())


def test_recorded_windows_are_learned_from(branches: Branches) -> None:
    real = Shown(items("pypi:words", "dev"), np.zeros(40, np.float32), averages(branches.width, None, 4))
    judge(recorded(branches, 3), real, Judging(ridge=1e-2, as_they_are=0.5))
    assert apart(branches, averages(branches.width, 3, 5)) > 2


def test_clips_as_they_are_count_but_for_sites_left_out_and_the_development_split(branches: Branches) -> None:
    heard = recorded(branches, None)
    clips = [*items(SITES[0]), *items(SITES[1]), *items(SITES[1], "dev")]
    seen = np.concatenate([averages(branches.width, place, 6 + place) for place in range(3)])
    windows = Shown(clips, np.zeros(120, np.float32), seen)
    of_site = [averages(branches.width, place, 10 + place) for place in range(3)]
    plan = Judging(ridge=1e-2, as_they_are=0.9)

    judge(heard, windows, plan)
    first, other, dev = (apart(branches, each) for each in of_site)
    assert min(first, other) > 2 * abs(dev)
    judge(heard, windows, plan, frozenset(SITES[:1]))
    first, other, _ = (apart(branches, each) for each in of_site)
    assert other > 2 * abs(first)

    for branch, seen_by in zip(branches.named.values(), branches.parts(seen[windows.real]), strict=True):
        of_real = logits(branch, seen_by)
        assert of_real.mean() == pytest.approx(0, abs=1e-3)
        assert of_real.std() == pytest.approx(1, abs=1e-3)
    judge(heard, windows, Judging(ridge=1e-2, as_they_are=0.01))
    assert apart(branches, of_site[1]) < other / 2

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lab.training.data import face_sources, face_split
from lab.training.data.face import item, plan
from lab.training.data.face_attacks import PRINT, SCREEN, UNSEEN
from lab.training.data.face_photo import LIVE
from lab.training.data.face_sources import Portrait
from lab.training.data.manifest import Split, check_split

PHOTOS: dict[Split, int] = {"train": 4, "dev": 2, "test": 2}


def people(count: int) -> list[Portrait]:
    return [
        Portrait(Path(f"/faces/{n}-{m}.jpg"), f"package/{n}", "npm:package", "MIT", person=True, face=True)
        for n in range(count)
        for m in range(2)
    ]


def scenes(count: int) -> list[Portrait]:
    return [
        Portrait(Path(f"/scenes/{n}.jpg"), f"scene/{n}", "npm:package", "MIT", person=False, face=False)
        for n in range(count)
    ]


def test_sides_are_a_rule_and_about_as_large_as_said() -> None:
    sides = [face_split.side(f"package/{n}") for n in range(4000)]
    assert sides == [face_split.side(f"package/{n}") for n in range(4000)]
    assert sides.count("train") / 4000 == pytest.approx(0.60, abs=0.03)
    assert sides.count("dev") / 4000 == pytest.approx(0.15, abs=0.03)


@settings(max_examples=40)
@given(st.integers(20, 80), st.integers(20, 60))
def test_no_person_no_background_and_no_unseen_attack_on_two_sides(persons: int, rooms: int) -> None:
    portraits = people(persons) + scenes(rooms)
    shots = plan(portraits, Path("/out"), PHOTOS, scene_photos=2, seed=1)
    check_split([item(shot) for shot in shots], UNSEEN)
    behind: dict[Path, str] = {}
    for shot in shots:
        assert behind.setdefault(shot.background, shot.split) == shot.split
        assert shot.split == "train" or shot.portrait.person


def test_every_person_is_shown_live_and_attacked_equally_often() -> None:
    shots = plan(people(60) + scenes(40), Path("/out"), PHOTOS, scene_photos=2, seed=1)
    assert len({shot.path for shot in shots}) == len(shots)
    for split, photos in PHOTOS.items():
        kinds = [shot.kind for shot in shots if shot.split == split and shot.portrait.person]
        portraits = len({shot.portrait.path for shot in shots if shot.split == split and shot.portrait.person})
        assert kinds.count(LIVE) == portraits * photos
        assert kinds.count(PRINT) == kinds.count(SCREEN) == portraits * photos // 2


def test_a_person_without_a_found_face_serves_training_only() -> None:
    hidden = [replace(person, face=False) for person in people(50)]
    sides = face_split.assign(hidden)
    assert len(sides["train"]) == len(hidden)
    assert not sides["dev"]
    assert not sides["test"]


def test_a_crop_of_a_portrait_is_the_same_person(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    portraits = []
    for number in range(3):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        coarse.resize((300, 300), Image.Resampling.BICUBIC).save(tmp_path / f"{number}.png")
    Image.open(tmp_path / "1.png").crop((30, 20, 270, 260)).resize((128, 128)).save(tmp_path / "3.png")
    for number in range(4):
        path = tmp_path / f"{number}.png"
        portraits.append(Portrait(path, f"p/{number}", "npm:p", "MIT", person=True, face=True))
    merged = [portrait.subject for portrait in face_sources.merge_people(portraits)]
    assert merged == ["p/0", "p/1", "p/2", "p/1"]

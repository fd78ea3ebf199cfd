from dataclasses import replace
from pathlib import Path

from lab.training.data import face_split
from lab.training.data.face import item, plan
from lab.training.data.face_portraits import rows
from lab.training.data.manifest import check_split
from tests.lab.training.test_face_split import PHOTOS, people, scenes


def test_portraits_are_live_and_attacks_are_those_that_training_never_saw() -> None:
    hidden = [replace(person, face=False, subject="package/hidden") for person in people(1)]
    portraits = people(60) + scenes(40) + hidden
    photos = [item(shot) for shot in plan(portraits, Path("/out"), PHOTOS, scene_photos=2, seed=1)]
    found = rows(portraits, photos)
    check_split(found)
    live = [row for row in found if row.label == "bonafide"]
    assert {row.path for row in live} == {person.path for person in people(60)}
    assert {row.subject for row in live if row.split == "test"} == {
        person.subject for person in people(60) if face_split.side(person.subject) == "test"
    }
    attacks = {photo.path for photo in photos if photo.label == "spoof" and photo.split != "train"}
    assert {row.path for row in found if row.label == "spoof"} == attacks
    assert attacks

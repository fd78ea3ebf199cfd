"""Crops of faces for training: those of the dev split cut as the service cuts them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from lab.training.data import face_crops
from lab.training.data.face import SIMULATORS, folder
from lab.training.data.face_crops import cut, read_crops
from lab.training.data.manifest import Item, Split, write
from lab.training.face_views import FACE_FACTOR, SIDE
from models.info import ImageGeometry
from tests.media import encode_image
from tests.portraits import no_face, portrait, small_face


@pytest.mark.parametrize("photo", [portrait(), no_face(), small_face()], ids=["portrait", "no face", "small face"])
def test_a_face_is_cut_as_the_service_cuts_it(photo: Image.Image) -> None:
    reader = PhotoReader(PhotoRules.from_settings(Settings(decode_threads=1)))
    geometry = ImageGeometry(None, SIDE, SIDE, None, None, 3, face_factor=FACE_FACTOR)
    picture, _ = cut(photo, FACE_FACTOR, SIDE)
    assert np.array_equal(reader.read(encode_image(photo, "PNG"), geometry).pixels, picture)


def test_the_box_is_that_of_the_face_in_the_crop() -> None:
    _, box = cut(small_face(), 4.0, 200)
    assert box[2] - box[0] == pytest.approx(50, abs=3)
    assert box.tolist() == pytest.approx([75, 75, 125, 125], abs=6)
    _, whole = cut(no_face(), 4.0, 200)
    assert whole.tolist() == [0, 0, 200, 200]


def test_the_command_writes_what_training_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_DATA_DIR", str(tmp_path))
    for simulator in SIMULATORS:
        items = [
            item(folder(simulator) / split / f"{number}.png", split, attack)
            for split in ("train", "dev", "test")
            for number, attack in enumerate(("-", "print", "screen"))
        ]
        write(items, folder(simulator) / "manifest.jsonl")
    face_crops.main([])
    dev, train = read_crops("dev"), read_crops("train")
    assert dev.pictures.shape == (6, SIDE, SIDE, 3)
    assert train.pictures.shape == (6, 256, 256, 3)
    for crops in (dev, train):
        assert crops.attack.tolist() == ["-", "print", "screen"] * 2
        assert np.array_equal(crops.spoof, (crops.attack != "-").astype(np.int8))
        assert crops.simulator.tolist() == [each for each in SIMULATORS for _ in range(3)]
        assert all(np.array_equal(picture, crops.pictures[0]) for picture in crops.pictures)
        assert (crops.boxes == crops.boxes[0]).all()
    with pytest.raises(FileNotFoundError, match="face_crops"):
        read_crops("test")


def item(path: Path, split: Split, attack: str) -> Item:
    """A photo, written to `path`, live where the attack is `-`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    portrait().resize((160, 200)).save(path)
    label = "bonafide" if attack == "-" else "spoof"
    return Item(path, label, f"{split}{path.stem}", "test", "CC0", attack, split)  # type: ignore[arg-type]

"""Crops of faces for training: cut as the service cuts them, balanced as the photos are, judged by the pair."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.image import ImageLimits
from bonafide.photo.quality import QualityLimits
from bonafide.photo.reader import PhotoReader
from bonafide.settings import Settings
from lab.training.data import face_crops
from lab.training.data.face import SIMULATORS, folder
from lab.training.data.face_crops import FACE_FACTOR, SIDE, cut, read_crops
from lab.training.data.manifest import Item, write
from lab.training.face_pair import FACTORS, WIDTH, Opinion
from models.info import ImageGeometry
from tests.media import encode_image
from tests.portraits import no_face, portrait, small_face
from tests.published import WEIGHTS, needs_weights


@pytest.mark.parametrize("photo", [portrait(), no_face()], ids=["portrait", "no face"])
def test_a_face_is_cut_as_the_service_cuts_it(photo: Image.Image) -> None:
    settings = Settings()
    reader = PhotoReader(
        limits=ImageLimits.from_settings(settings),
        quality=QualityLimits.from_settings(settings),
        crop_margin=None,
        finder=FaceDetector.of_process(1),
    )
    geometry = ImageGeometry(None, SIDE, SIDE, None, None, 3, face_factor=FACE_FACTOR)
    assert np.array_equal(reader.read(encode_image(photo, "PNG"), geometry).pixels, cut(photo, SIDE))


@pytest.mark.parametrize("copies", [0, 8])
def test_each_of_the_pair_is_given_its_crop_of_the_same_face(
    copies: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearer crop is the middle of the wider one, of a photo that is large enough for both."""
    given: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []

    class Recorder:
        def judge(self, crops: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> Opinion:
            given.extend(crops)
            return Opinion(np.zeros(len(crops), np.float32), np.zeros((len(crops), WIDTH), np.float32))

    monkeypatch.setattr(face_crops, "_pair", lambda weights: Recorder())
    photo = small_face()
    photo.save(tmp_path / "photo.png")
    item = Item(tmp_path / "photo.png", "bonafide", "a", "test", "CC0", "-", "dev")
    made = face_crops._made(([(item, "bench")], copies, tmp_path, 1))
    assert len(given) == len(made.spoof) == max(1, copies)
    for near, wide in given:
        share = len(near) / len(wide)
        assert share == pytest.approx(FACTORS[0] / FACTORS[1], abs=0.05)
        start, height, width = round((len(wide) - len(near)) / 2), *near.shape[:2]
        middles = [
            wide[top : top + height, left : left + width]
            for top in range(start - 3, start + 4)
            for left in range(start - 3, start + 4)
        ]
        assert any(np.array_equal(near, middle) for middle in middles)
    assert len({wide.tobytes() for _, wide in given}) == len(given), "each copy is another one"


@needs_weights
def test_the_command_writes_what_training_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_DATA_DIR", str(tmp_path))
    for simulator in SIMULATORS:
        items = []
        for split in ("train", "dev", "test"):
            for number, attack in enumerate(("-", "print", "-", "screen")):
                path = folder(simulator) / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                portrait().resize((160, 200)).save(path)
                label = "bonafide" if attack == "-" else "spoof"
                items.append(Item(path, label, f"{split}{number}", "test", "CC0", attack, split))  # type: ignore[arg-type]
        write(items, folder(simulator) / "manifest.jsonl")
    face_crops.main(["--weights", str(WEIGHTS), "--copies", "5"])
    dev, train = read_crops("dev"), read_crops("train")
    assert dev.pictures.shape == (8, SIDE, SIDE, 3)
    assert train.pictures.shape == (40, SIDE, SIDE, 3)
    assert sorted(dev.attack.tolist()) == ["-"] * 4 + ["print"] * 2 + ["screen"] * 2
    assert np.array_equal(dev.spoof, (dev.attack != "-").astype(np.int8))
    assert all(np.array_equal(picture, dev.pictures[0]) for picture in dev.pictures)
    blended = train.spoof == -1
    assert 0 < blended.sum() < 20
    assert set(train.attack[blended]) == {"-"}
    assert np.array_equal(train.spoof[~blended], (train.attack[~blended] != "-").astype(np.int8))
    assert sorted(set(train.simulator.tolist())) == sorted(SIMULATORS)
    assert train.seen.shape == (40, WIDTH)
    assert np.isfinite(train.fake).all()
    assert train.fake.std() > 0.1
    with pytest.raises(FileNotFoundError, match="face_crops"):
        read_crops("test")

"""The bundled face model is sure of the samples, in every engine and precision that serves."""

from pathlib import Path

import pytest

from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from models.face_model import FaceSpoofModel
from tests.models.checkpoints import options
from tests.models.test_voice_model import ENGINES

SAMPLES = Path(__file__).parents[2] / "data" / "objects" / "samples"
ROOM = 0.2
"""Least distance of a sample's score to the threshold: bf16 moves scores by a tenth of that."""


@pytest.mark.parametrize(("engine", "precision"), ENGINES)
def test_the_live_sample_is_live_and_the_attack_fake_with_room_to_spare(
    tmp_path: Path, engine: str, precision: str
) -> None:
    kept = Settings().compiled_dir  # where services keep it converted
    detector = FaceSpoofModel.load("bundled", options(tmp_path, compiled_dir=kept, engine=engine, precision=precision))
    geometry, threshold = detector.info.geometry, detector.info.threshold
    assert geometry is not None
    assert threshold is not None
    reader = PhotoReader(PhotoRules.from_settings(Settings(decode_threads=1)))
    photos = [reader.read((SAMPLES / name).read_bytes(), geometry).pixels for name in ("face.jpg", "face_spoof.jpg")]
    live, fake = detector.score(photos)
    assert live < threshold - ROOM
    assert fake > threshold + ROOM

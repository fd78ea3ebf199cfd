import io

import pytest
from PIL import Image

from benchmarks.sample_bodies import body, different
from bonafide.audio.reader import WINDOW_SAMPLES, AudioLimits, AudioReader
from bonafide.settings import Settings
from models.info import Task


@pytest.mark.parametrize("task", ["voice", "face"])
def test_no_two_bodies_are_alike(task: Task) -> None:
    assert 1 < different(task) < 40
    assert len({body(task, number) for number in range(40)}) == 40


def test_a_recording_is_one_full_window() -> None:
    for number in range(different("voice")):
        with AudioReader(body("voice", number), AudioLimits.from_settings(Settings())) as reader:
            (window,) = [window for windows in reader for window in windows]
        assert len(window.pcm) == WINDOW_SAMPLES


def test_a_photo_can_be_opened() -> None:
    for number in range(different("face")):
        with Image.open(io.BytesIO(body("face", number))) as photo:
            photo.load()
            assert photo.format == "JPEG"

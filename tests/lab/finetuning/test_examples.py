"""From labelled files to batches: the service's input, drawn evenly, the same after a stop."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bonafide.audio.reader import AudioLimits, AudioReader
from bonafide.settings import Settings
from lab.evaluation.scoring import Unreadable
from lab.evaluation.trials import BONAFIDE, DataError, Trial
from lab.finetuning.decoded import Decoded, decoded
from lab.finetuning.examples import Batches, Collate, Examples
from lab.line.samples import RATE
from lab.served import MediaReader, judged_reader
from lab.training.data.voice_audio import decode, save
from models.configured import settings_for
from models.graph import PrepareVoice
from tests.lab.finetuning.data import SAMPLES
from tests.media import encode, speech_like


def trials(folder: Path) -> list[Trial]:
    found = []
    for index, seconds in enumerate([9.0, 3.0, 4.0, 5.0]):
        path = folder / f"{index}.wav"
        path.write_bytes(encode(speech_like(seconds, 16_000, seed=index), 16_000))
        found.append(Trial(path, "tts" if index % 2 else BONAFIDE, str(index)))
    (folder / "truncated.wav").write_bytes(b"RIFF nothing")
    return [*found, Trial(folder / "truncated.wav", "tts", "truncated")]


def read_all(folder: Path, items: list[Trial]) -> Decoded:
    read = MediaReader(Settings()).read
    return decoded(items, read, folder / "decoded", threads=2, advanced=lambda count: None)


def test_training_sees_the_windows_that_serving_sees(tmp_path: Path) -> None:
    items = trials(tmp_path)
    found = read_all(tmp_path, items)
    assert [Path(trial.path).name for trial in found.trials] == ["0.wav"] * 3 + ["1.wav", "2.wav"] + ["3.wav"] * 2
    with AudioReader(items[0].path.read_bytes(), AudioLimits.from_settings(Settings())) as reader:
        served = np.stack([window.pcm for windows in reader for window in windows])
    np.testing.assert_array_equal(found.arrays[:3], served)
    with AudioReader(items[1].path.read_bytes(), AudioLimits.from_settings(Settings())) as reader:
        ((short,),) = list(reader)
    np.testing.assert_array_equal(found.arrays[3], np.resize(short.pcm, 64_000))
    assert found.spoof.tolist() == [False] * 3 + [True, False, True, True]
    assert [Path(path).name for path in found.problems] == ["truncated.wav"]


def test_windows_without_speech_are_left_out(tmp_path: Path, workspace: Path) -> None:
    read = judged_reader(settings_for("voice", models_dir=workspace), None)
    speech = decode(SAMPLES / "call.mp3")[: 4 * RATE]
    save(
        np.concatenate([np.zeros(4 * RATE, np.float32), speech, np.zeros(4 * RATE, np.float32)]),
        tmp_path / "pauses.wav",
    )
    (part,) = read(tmp_path / "pauses.wav")
    assert np.abs(part.array.astype(float)).max() > 1000
    save(np.zeros(6 * RATE, np.float32), tmp_path / "silence.wav")
    with pytest.raises(Unreadable, match="no speech was found"):
        read(tmp_path / "silence.wav")


def test_files_are_read_once(tmp_path: Path) -> None:
    items = trials(tmp_path)
    first = read_all(tmp_path, items)
    for item in items:
        item.path.unlink()
    second = read_all(tmp_path, items)
    np.testing.assert_array_equal(first.arrays, second.arrays)
    assert first.trials == second.trials


def test_a_class_without_readable_files_is_told(tmp_path: Path) -> None:
    items = trials(tmp_path)
    with pytest.raises(DataError, match=r"truncated\.wav"):
        read_all(tmp_path, [items[0], items[4]])


def test_batches_are_prepared_as_served(tmp_path: Path) -> None:
    found = read_all(tmp_path, trials(tmp_path))
    examples = Examples(found, spoof=0)
    batch = Collate(PrepareVoice(normalize=True), "input_values")([examples[0], examples[3]])
    assert batch["labels"].tolist() == [1, 0]
    assert batch["input_values"].shape == (2, 64_000)
    torch.testing.assert_close(batch["input_values"].mean(1), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(batch["input_values"].std(1), torch.ones(2), atol=1e-3, rtol=0)


def test_varied_windows_and_photos_change_each_time() -> None:
    window = (10_000 * speech_like(4.0, seed=1)[0]).astype(np.int16)
    photo = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    owners = (Trial(Path("a"), BONAFIDE, "a"), Trial(Path("b"), "tts", "b"))
    torch.manual_seed(0)
    voices = Examples(Decoded(np.stack([window, window]), owners, {}), 1, varied=True)
    heard = [voices[0][0] for _ in range(3)]
    assert all(each.dtype == np.int16 and each.shape == (64_000,) for each in heard)
    assert not np.array_equal(heard[0], heard[1])
    photos = Examples(Decoded(np.stack([photo, photo]), owners, {}), 1, varied=True)
    seen = {photos[0][0].tobytes() for _ in range(20)}
    assert seen == {photo.tobytes(), photo[:, ::-1].tobytes()}


def test_batches_are_even_and_the_same_every_time() -> None:
    attacks = [BONAFIDE] * 10 + ["espeak"] * 80 + ["flite"] * 10
    owners = tuple(Trial(Path(str(index)), attack, str(index % 5)) for index, attack in enumerate(attacks))
    found = Decoded(np.zeros((100, 8), np.int16), owners, {})
    batches = Batches(found, size=8, count=300, seed=3)
    assert len(batches) == 300
    drawn = np.array(list(batches))
    np.testing.assert_array_equal(drawn, np.array(list(batches)))
    assert np.mean(drawn < 10) == pytest.approx(0.5, abs=0.05)
    assert np.mean(drawn >= 90) == pytest.approx(0.25, abs=0.05)

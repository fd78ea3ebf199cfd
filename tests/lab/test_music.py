"""The command that measures how music is heard: what is music, speech and a mix of both is where it says."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.audio.reader import AudioLimits
from lab import music
from lab.evaluation.trials import Trial
from lab.line.music import pieces
from models.configured import settings_for
from tests.bonafide.audio.tunes import RATE, syllables, tune
from tests.media import wav


def keep(path: Path, samples: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav((samples * 32_767).astype(np.int16), RATE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of speech of each class, one of music, and a jingle."""
    for label in ("bonafide", "spoof"):
        for number in range(2):
            keep(tmp_path / "speech" / label / f"{number}.wav", np.roll(syllables(4.0), 9_000 * number))
    keep(tmp_path / "songs/long.wav", tune(20.0))
    keep(tmp_path / "songs/jingle.wav", tune(5.0))
    return tmp_path


def test_the_command_prints_its_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--speech", str(folder / "speech"), "--music", str(folder / "songs")]
    music.main([*places, "--seconds", "4", "--each", "2", "--lines", "clean,mu-law", "--ratios", "0,40"])
    printed = capsys.readouterr().out.splitlines()
    assert "| clean | 0.0 % | 0.0 % | 100.0 % |" in printed
    assert "| mu-law | 0.0 % | 0.0 % | 100.0 % |" in printed
    assert "| 0 dB | 100.0 % | 100.0 % |" in printed
    assert any(line.startswith("| 40 dB |") for line in printed)
    assert "| songs | 2 | 100.0 % |" in printed
    assert printed[-1].startswith("4 files of speech, 4 joined recordings and 2 pieces of music of 4 s; ")


def test_pieces_are_the_same_for_the_same_seed_and_of_long_files(folder: Path) -> None:
    limits = AudioLimits.from_settings(settings_for("voice"))
    one, same, other = (
        [piece.samples for piece in pieces([folder / "songs"], limits, seconds=5.0, each=3, seed=seed)]
        for seed in (0, 0, 1)
    )
    assert [len(samples) for samples in one] == [5 * RATE] * 3
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_mix_has_the_ratio_that_is_asked_for() -> None:
    speech, song = syllables(4.0), tune(4.0)
    under = music.mixed(speech, song, 10.0) - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(under**2)) == pytest.approx(10.0, abs=0.1)
    assert np.abs(music.mixed(speech, song, -40.0)).max() == pytest.approx(1.0)


def test_recordings_are_joined_of_one_person_and_class() -> None:
    trials = [Trial(Path(f"{number}"), attack, "someone") for number, attack in enumerate(["-", "-", "tts"])]
    joined = music.joined(trials, lambda path: np.full(3, int(path.name), np.float32), 5)
    assert [each.tolist() for each in joined] == [[0, 0, 0, 1, 1]]


@pytest.mark.parametrize(
    "wrong", [["--seconds", "1"], ["--ratios", "99"], ["--lines", "string"], ["--music", "nowhere"]]
)
def test_wrong_options_are_refused(wrong: list[str], folder: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        music.main(["--speech", str(folder / "speech"), "--music", str(folder / "songs"), *wrong])
    assert stopped.value.code == 2

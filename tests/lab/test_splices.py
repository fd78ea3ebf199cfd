"""Spliced recordings: the truth is where it is said, and what is found is counted right."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.verdict import SuspiciousStretch
from lab import splices
from lab.evaluation.trials import Trial
from lab.splicing.found import Found
from lab.splicing.recordings import Spliced, splice
from tests.media import speech_like, wav

RATE = 16_000
pytestmark = pytest.mark.usefixtures("models_in_workspace")


def trials(people: int = 3, files: int = 3, spoofs: int = 2) -> list[Trial]:
    genuine = [Trial(Path(f"{who}-{number}"), "-", f"{who}") for who in range(people) for number in range(files)]
    return [
        *genuine,
        *(Trial(Path(f"spoof-{who}-{n}"), "tts", f"{who}") for who in range(people) for n in range(spoofs)),
    ]


def read(path: Path) -> NDArray[np.float32]:
    """Bona fide files are a constant of 0.25, spoofed ones alternate, and are louder."""
    samples = np.full(4 * RATE, 0.25, np.float32)
    if path.name.startswith("spoof"):
        samples[:] = 0.5
        samples[::2] *= -1
    return samples


def test_each_recording_comes_as_it_is_and_with_a_part_of_the_same_person_as_loud_as_what_was_there() -> None:
    made = splice(trials(), read, seconds=12.0, parts_s=(1.0, 2.0), seed=0)
    assert [each.subject for each in made] == ["0", "0", "1", "1", "2", "2"]
    for plain, spliced in zip(made[::2], made[1::2], strict=True):
        assert plain.seconds == spliced.seconds == 12.0
        assert (plain.start_s, plain.end_s, spliced.same_person) == (0.0, 0.0, True)
        changed = np.flatnonzero(plain.samples != spliced.samples)
        # Of an alternating part every other sample is what it was: the ends are known to a sample.
        assert changed[0] / RATE == pytest.approx(spliced.start_s, abs=4 / RATE)
        assert changed[-1] / RATE == pytest.approx(spliced.end_s, abs=4 / RATE)
        assert np.abs(spliced.samples).max() == pytest.approx(0.25, rel=1e-3)
        assert 2.0 <= spliced.start_s < spliced.end_s <= 10.0
    assert [round(each.end_s - each.start_s, 3) for each in made[1::2]] == [1.0, 2.0, 1.0]


def test_the_same_seed_makes_the_same_recordings() -> None:
    one, other = (splice(trials(), read, seconds=12.0, parts_s=(2.0,), seed=3) for _ in range(2))
    assert [each.start_s for each in one] == [each.start_s for each in other]


def test_who_has_no_spoof_is_spoofed_by_another() -> None:
    lonely = [Trial(Path(f"x-{number}"), "-", "lonely") for number in range(2)]
    made = splice([*trials(1), *lonely], read, seconds=8.0, parts_s=(1.0,), seed=0)
    assert [(each.subject, each.same_person) for each in made if each.end_s] == [("0", True), ("lonely", False)]


def recording(start_s: float = 0.0, end_s: float = 0.0) -> Spliced:
    return Spliced(np.zeros(24 * RATE, np.float32), "someone", start_s, end_s)


def test_what_is_found_is_counted_in_parts_stretches_and_seconds() -> None:
    found = Found()
    found.add(recording(10.0, 14.0), [SuspiciousStretch(8.0, 12.0, 0.9), SuspiciousStretch(16.0, 20.0, 0.9)])
    found.add(recording(4.0, 6.0), [])
    found.add(recording(), [SuspiciousStretch(0.0, 4.0, 0.9)])
    found.add(recording(), [])
    assert found.cells == ["50.0 %", "33.3 %", "33.3 %", "16.7 %", "50.0 %"]


def test_seconds_of_overlapping_stretches_count_once() -> None:
    found = Found()
    found.add(recording(10.0, 12.0), [SuspiciousStretch(8.0, 12.0, 0.9), SuspiciousStretch(9.0, 13.0, 0.9)])
    assert (found.found_s, found.right_s) == (5.0, 2.0)


def test_the_command_prints_a_table(tiny_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = shutil.copytree(tiny_voice, tmp_path / "model")
    for label in ("bonafide", "spoof"):
        for number in range(2):
            sound = speech_like(8.0, RATE, seed=number)
            path = tmp_path / "data" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wav((sound.reshape(-1) * 20_000).astype(np.int16), RATE))
    arguments = ["--model", str(model), "--data", str(tmp_path / "data"), "--seconds", "8", "--parts", "1,2"]
    splices.main([*arguments, "--hops", "4,2"])
    printed = capsys.readouterr().out
    assert "| 4 s |" in printed
    assert "| 2 s |" in printed
    assert "4 recordings of 8 s of 2 people, 2 of them with a spoofed part" in printed


@pytest.mark.parametrize("wrong", [["--hops", "0.1"], ["--parts", "0"], ["--seconds", "5"]])
def test_wrong_options_are_refused(wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        splices.main(["--model", "bundled", "--data", str(tmp_path), *wrong])
    assert stopped.value.code == 2

"""Windows cut short, presented in each way, and counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.evaluation.short_windows import PRESENTATIONS, Samples, judged, middle, rows
from lab.evaluation.trials import BONAFIDE, DataError, Trial


class Hearing:
    """A model that takes long windows with sound for spoofs; any sound is speech."""

    threshold = (0.5, "default")

    @property
    def detector(self) -> "Hearing":
        return self

    def score(self, windows: list[Samples]) -> np.ndarray:
        return np.array([0.9 * np.mean(window != 0) * (len(window) > 16_000) for window in windows], np.float32)

    def has_speech(self, ratio: float) -> bool:
        return ratio > 0

    def speech_ratios(self, windows: list[Samples]) -> np.ndarray:
        return np.array([np.mean(window != 0) for window in windows], np.float32)


HEARING: Any = Hearing()
LOUD, SILENT = np.ones(64_000, np.int16), np.zeros(64_000, np.int16)


def trial(attack: str, subject: str = "ann") -> Trial:
    return Trial(Path(), attack, subject)


@pytest.mark.parametrize("seconds", [0.25, 1.0, 4.0])
def test_the_middle_is_cut_out_and_presented(seconds: float) -> None:
    window = np.arange(64_000).astype(np.int16)
    samples = middle(window, seconds)
    assert len(samples) == 16_000 * seconds
    assert samples[len(samples) // 2] == window[32_000]
    shown = {name: present(samples) for name, present in PRESENTATIONS.items()}
    assert len(shown["as it is"]) == len(samples)
    assert len(shown["repeated"]) == len(shown["followed by silence"]) == 64_000
    assert (shown["repeated"].reshape(-1, len(samples)) == samples).all()
    assert not shown["followed by silence"][len(samples) :].any()


def test_what_has_no_speech_is_left_out() -> None:
    trials, scores = judged([(trial(BONAFIDE), SILENT), (trial("world"), LOUD)], 1.0, HEARING, HEARING)
    assert [each.attack for each in trials] == ["world"]
    assert {name: [round(score, 3) for score in found] for name, found in scores.items()} == {
        "as it is": [0.0], "repeated": [0.9], "followed by silence": [0.225],
    }  # fmt: skip


def test_a_line_for_each_length_and_presentation() -> None:
    half = np.concatenate([np.zeros(31_000, np.int16), np.ones(33_000, np.int16)])
    windows = [(trial(BONAFIDE), half)] * 3 + [(trial("world", "bob"), LOUD)] * 3
    lines = rows(windows, [1.0, 4.0], HEARING, HEARING, rounds=10)
    assert [line.split(" | ")[:3] for line in lines] == [
        ["| 1 s", name, "3 + 3"] for name in ("as it is", "repeated", "followed by silence")
    ] + [["| 4 s", "as it is", "3 + 3"]]
    with pytest.raises(DataError):
        rows(windows[:3], [1.0], HEARING, HEARING, rounds=10)

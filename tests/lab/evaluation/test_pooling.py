"""Recordings put together from windows, and what each statistic makes of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from lab.evaluation.pooling import STATISTICS, Recording, partly, table, whole
from lab.evaluation.trials import DataError

# Two voices with five real windows each; one of them has five copies, of which two windows can be told.
WINDOWS: dict[tuple[str, str], Sequence[tuple[float, float]]] = {
    ("ann", "-"): [(0.1, 4.0), (0.1, 4.0), (0.4, 1.0), (0.1, 4.0), (0.2, 4.0)],
    ("bob", "-"): [(0.3, 4.0)] * 5,
    ("ann", "world"): [(0.9, 4.0), (0.2, 4.0), (0.9, 1.0), (0.2, 4.0), (0.2, 4.0)],
}


def scores(recordings: Sequence[Recording], name: str) -> list[float]:
    return [STATISTICS[name](recording.windows[:, 0], recording.windows[:, 1]) for recording in recordings]


def test_whole_recordings_are_of_one_voice_and_attack() -> None:
    recordings = whole(WINDOWS, 2)
    assert [(recording.trial.subject, recording.trial.attack) for recording in recordings] == [
        ("ann", "-"), ("ann", "-"), ("bob", "-"), ("bob", "-"), ("ann", "world"), ("ann", "world"),
    ]  # fmt: skip
    assert all(recording.windows.shape == (2, 2) for recording in recordings)
    assert len(whole(WINDOWS, 6)) == 0


def test_partly_spoofed_recordings_are_real_but_for_their_first_windows() -> None:
    recordings = partly(WINDOWS, 5, 1)
    assert [(recording.trial.subject, recording.trial.spoof) for recording in recordings] == [
        ("ann", False), ("ann", True), ("bob", False),
    ]  # fmt: skip
    assert recordings[1].windows[:, 0].tolist() == [0.9, 0.1, 0.4, 0.1, 0.2]


def test_statistics() -> None:
    (real, *_) = whole(WINDOWS, 5)
    found = {name: scores([real], name)[0] for name in STATISTICS}
    assert found["mean, weighted by seconds of speech"] == pytest.approx((4 * 0.5 + 0.4) / 17)
    assert found["mean"] == pytest.approx(0.18)
    assert found["median"] == pytest.approx(0.1)
    assert found["mean of the highest two"] == pytest.approx(0.3)
    assert found["highest"] == pytest.approx(0.4)
    assert 0.1 < found["mean of the log odds, weighted"] < found["mean, weighted by seconds of speech"]


def test_the_table_has_a_row_for_each_statistic() -> None:
    shown = table({"whole": whole(WINDOWS, 5), "partly": partly(WINDOWS, 5, 1)}, whole(WINDOWS, 1), rounds=20)
    assert "whole: 2 real, 1 spoofed" in shown
    lines = shown.splitlines()[2:]
    assert len(lines) == len(STATISTICS)
    # The median of the copy is no higher than that of bob; its highest window is.
    (median,) = [line for line in lines if line.startswith("| median")]
    (highest,) = [line for line in lines if line.startswith("| highest")]
    assert "| 0.0 %" not in median.split("|")[2]
    assert "0.0 % (0.0-0.0)" in highest


def test_too_few_windows_are_an_error() -> None:
    with pytest.raises(DataError, match="too few windows"):
        table({"whole": whole(WINDOWS, 6)}, whole(WINDOWS, 1), rounds=20)
    assert np.isfinite(scores(whole(WINDOWS, 1), "highest")).all()

"""The band that `lab.calibrate --uncertain` fits: both error rates outside it, and whom it leaves undecided."""

import numpy as np
import pytest

from lab.evaluation.report import ScoredTrials
from lab.uncertainty import fit_band


def trials(genuine: list[float], attacks: list[float], people: int = 5) -> ScoredTrials:
    scores = np.array(genuine + attacks)
    return ScoredTrials(
        scores,
        np.array(["-"] * len(genuine) + ["tts"] * len(attacks)),
        np.array([f"person {index % people}" for index in range(len(scores))]),
        np.array([""] * len(scores)),
    )


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_both_error_rates_outside_the_band_stay_under_what_was_asked(rate: float, seed: int) -> None:
    noise = np.random.default_rng(seed)
    judged = trials(noise.beta(2, 5, 300).tolist(), noise.beta(5, 2, 200).tolist())
    found = fit_band(judged, rate, threshold=0.5)
    assert np.mean(judged.scores[~judged.spoof] >= found.band.upper) == found.bpcer <= rate
    assert np.mean(judged.scores[judged.spoof] < found.band.lower) == found.apcer <= rate
    assert found.band.lower <= 0.5 <= found.band.upper


def test_classes_that_do_not_overlap_leave_nobody_undecided() -> None:
    found = fit_band(trials([0.1, 0.2], [0.8, 0.9]), 0.0, threshold=0.5)
    assert (found.bpcer, found.apcer, found.items, found.people) == (0.0, 0.0, 0.0, 0.0)


def test_people_are_counted_once_whatever_the_number_of_their_items() -> None:
    # Person 2's genuine recording scores like an attack, and the attack in the name of person 3 like a genuine one.
    judged = trials([0.05, 0.05, 0.8, 0.05, 0.05], [0.95, 0.95, 0.95, 0.2, 0.95])
    found = fit_band(judged, 0.0, threshold=0.5)
    assert found.items == pytest.approx(0.2)
    assert found.people == pytest.approx(0.4)
    assert found.bonafide_people == pytest.approx(0.2)


def test_genuine_scores_of_one_are_kept_by_no_end() -> None:
    with pytest.raises(ValueError, match="score of 1"):
        fit_band(trials([0.1, 1.0], [0.9]), 0.0, threshold=0.5)

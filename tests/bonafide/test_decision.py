"""Three answers around the threshold, and scores as evidence."""

import math

import pytest

from bonafide.decision import MAX_LLR, Band, decision_of, effective_band, llr_of
from bonafide.verdict import SuspiciousStretch, answer_of

BAND = Band(0.25, 0.75)


@pytest.mark.parametrize(
    ("score", "decision"),
    [
        (0.0, "bonafide"),
        (0.2499, "bonafide"),
        (0.25, "uncertain"),
        (0.7499, "uncertain"),
        (0.75, "spoof"),
        (1.0, "spoof"),
    ],
)
def test_a_score_within_the_band_is_uncertain(score: float, decision: str) -> None:
    assert decision_of(score, BAND) == decision


def test_without_a_band_there_is_no_decision_and_without_speech_none_can_be_made() -> None:
    assert decision_of(0.9, None) is None
    assert decision_of(None, BAND) == "uncertain"


def test_an_empty_band_decides_every_score() -> None:
    empty = Band(0.5, 0.5)
    assert [decision_of(score, empty) for score in (0.4999, 0.5)] == ["bonafide", "spoof"]


def test_the_setting_comes_before_the_calibration() -> None:
    assert effective_band(Band(0.3, 0.6), (0.1, 0.9), 0.5) == (0.3, 0.6)
    assert effective_band(None, (0.1, 0.9), 0.5) == (0.1, 0.9)
    assert effective_band(None, None, 0.5) is None


def test_a_band_holds_the_threshold_so_that_no_decision_contradicts_a_label() -> None:
    assert effective_band(Band(0.6, 0.9), None, 0.5) == (0.5, 0.9)
    assert effective_band(Band(0.1, 0.4), None, 0.5) == (0.1, 0.5)


def test_evidence_is_the_log_odds_less_those_of_the_prior() -> None:
    assert llr_of(0.8, 0.0) == pytest.approx(math.log(4.0))
    assert llr_of(0.2, 0.0) == pytest.approx(-math.log(4.0))
    assert llr_of(0.5, math.log(0.25)) == pytest.approx(math.log(4.0))


def test_evidence_is_finite() -> None:
    assert llr_of(0.0, 0.0) == -MAX_LLR
    assert llr_of(1.0, 0.0) == MAX_LLR
    assert llr_of(1.0, 2.0) == MAX_LLR - 2.0
    assert pytest.approx(13.8155, abs=1e-4) == MAX_LLR


def test_no_evidence_is_made_up() -> None:
    assert llr_of(0.9, None) is None
    assert llr_of(None, 0.0) is None


def test_bona_fide_by_its_mean_with_spoofed_stretches_is_partially_spoofed() -> None:
    stretch = (SuspiciousStretch(4.0, 8.0, 0.9),)

    def partially(label: str, found: tuple[SuspiciousStretch, ...]) -> bool:
        return answer_of(0.4, label, found, band=None, prior_log_odds=None).partially_spoofed

    assert partially("bonafide", stretch)
    assert not partially("bonafide", ())
    assert not partially("spoof", stretch)

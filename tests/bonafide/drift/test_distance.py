import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.drift.distance import expected_counts, stability_index
from models.info import SCORE_BINS, ScoreCounts, score_bin

COUNTS = st.lists(st.integers(0, 10_000), min_size=SCORE_BINS, max_size=SCORE_BINS).filter(any)


@given(COUNTS, st.integers(1, 50))
def test_the_same_distribution_has_no_distance_however_often_it_is_repeated(counts: list[int], times: int) -> None:
    assert stability_index(counts, [count * times for count in counts]) == pytest.approx(0.0, abs=1e-9)


@given(COUNTS, COUNTS)
def test_the_distance_is_finite_never_negative_and_symmetric(one: list[int], other: list[int]) -> None:
    distance = stability_index(one, other)
    assert 0.0 <= distance < 14.0
    assert distance == pytest.approx(stability_index(other, one))


def test_a_known_distance() -> None:
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5), and bins that both leave empty
    assert stability_index([50, 50] + [0] * 8, [6, 4] + [0] * 8) == pytest.approx(0.0405465)


@given(st.floats(0, 1))
def test_each_score_has_a_bin(score: float) -> None:
    found = score_bin(score)
    assert 0 <= found < SCORE_BINS
    assert found / SCORE_BINS <= score + 1e-9
    assert score <= (found + 1) / SCORE_BINS + 1e-9


def test_the_expected_share_of_spoofs_mixes_both_classes() -> None:
    fitted = ScoreCounts((30,) + (0,) * 9, (0,) * 9 + (10,))
    assert expected_counts(fitted, None) == pytest.approx([30] + [0] * 8 + [10])
    assert expected_counts(fitted, 0.0) == pytest.approx([40] + [0] * 9)
    assert expected_counts(fitted, 0.5) == pytest.approx([20] + [0] * 8 + [20])

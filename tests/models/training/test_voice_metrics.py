import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.voice_metrics import eer, eer_interval, family_weights


def slow_eer(scores: np.ndarray, spoof: np.ndarray) -> float:
    """By its definition: the crossing of the two error curves, over every threshold."""
    points = [(1.0, 0.0)]
    for threshold in sorted(set(scores), reverse=True):
        points.append((np.mean(scores[spoof] < threshold), np.mean(scores[~spoof] >= threshold)))
    for (miss, alarm), (next_miss, next_alarm) in itertools.pairwise(points):
        if next_miss <= next_alarm:
            share = (miss - alarm) / ((miss - alarm) + (next_alarm - next_miss))
            return miss + share * (next_miss - miss)
    raise AssertionError


@given(st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=60))
def test_agrees_with_the_definition(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([float(score) for score, _ in pairs])
    spoof = np.array([truth for _, truth in pairs])
    if spoof.all() or not spoof.any():
        with pytest.raises(ValueError, match="both classes"):
            eer(scores, spoof)
    else:
        assert eer(scores, spoof) == pytest.approx(slow_eer(scores, spoof), abs=1e-9)


def test_right_wrong_and_blind_detectors() -> None:
    spoof = np.array([False] * 50 + [True] * 50)
    scores = np.arange(100.0)
    assert eer(scores, spoof) == 0
    assert eer(-scores, spoof) == 1
    assert eer(np.zeros(100), spoof) == 0.5


def test_families_count_the_same() -> None:
    # 90 windows of an easy family, 10 of one that is always missed.
    scores = np.array([0.0] * 50 + [1.0] * 90 + [-1.0] * 10)
    spoof = np.array([False] * 50 + [True] * 100)
    weights = family_weights(["-"] * 50 + ["easy"] * 90 + ["hard"] * 10)
    assert eer(scores, spoof) == pytest.approx(0.1)
    assert eer(scores, spoof, weights) == pytest.approx(0.5)


def test_the_interval_holds_the_rate_and_is_wider_for_few_voices() -> None:
    rng = np.random.default_rng(0)
    voices = [f"v{index // 20}" for index in range(400)]
    spoof = np.arange(400) % 40 >= 20
    offset = np.repeat(rng.normal(0, 1, 20), 20)
    scores = rng.normal(0, 0.3, 400) + offset + 1.5 * spoof
    low, high = eer_interval(scores, spoof, voices, rounds=200)
    assert 0 <= low <= eer(scores, spoof) <= high <= 1
    alone = eer_interval(scores, spoof, [str(index) for index in range(400)], rounds=200)
    assert alone[1] - alone[0] < high - low

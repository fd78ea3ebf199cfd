"""Figures against hand-computed cases, against scikit-learn, and against definitions written down plainly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score, roc_curve  # type: ignore[import-untyped]

from lab import metrics
from lab.metrics import Ranking

Case = tuple[NDArray[np.float64], NDArray[np.bool_]]


def overlapping(count: int = 400, seed: int = 0, *, decimals: int = 6) -> Case:
    rng = np.random.default_rng(seed)
    spoof = rng.random(count) < 0.4
    spoof[:2] = [True, False]
    logits = rng.normal(np.where(spoof, 1.0, -1.0), 1.5)
    return np.round(1 / (1 + np.exp(-logits)), decimals), spoof


def both_classes(truth: list[bool]) -> bool:
    return any(truth) and not all(truth)


cases = st.lists(st.booleans(), min_size=2, max_size=40).filter(both_classes).flatmap(
    lambda truth: st.tuples(
        st.lists(st.integers(0, 10), min_size=len(truth), max_size=len(truth)).map(
            lambda tenths: np.array(tenths) / 10
        ),
        st.just(np.array(truth)),
    )
)  # fmt: skip


@given(cases)
def test_curve_is_what_counting_gives(case: Case) -> None:
    scores, spoof = case
    curve = Ranking(scores, spoof).curve()
    for threshold, accepted, refused in zip(curve.thresholds, curve.accepted, curve.refused, strict=True):
        assert accepted == pytest.approx(np.mean(scores[spoof] < threshold))
        assert refused == pytest.approx(np.mean(scores[~spoof] >= threshold))
    assert set(curve.thresholds[1:]) == set(scores)


@given(cases)
def test_auc_and_curve_agree_with_scikit_learn(case: Case) -> None:
    scores, spoof = case
    curve = Ranking(scores, spoof).curve()
    assert metrics.area_under_curve(curve) == pytest.approx(roc_auc_score(spoof, scores))
    false_positives, true_positives, _ = roc_curve(spoof, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.refused, false_positives)
    np.testing.assert_allclose(1 - curve.accepted, true_positives, atol=1e-12)


@given(cases, st.integers(0, 10_000))
def test_whole_weights_are_repetitions(case: Case, seed: int) -> None:
    scores, spoof = case
    times = np.random.default_rng(seed).integers(1, 4, len(scores))
    repeated = Ranking(np.repeat(scores, times), np.repeat(spoof, times)).curve()
    weighted = Ranking(scores, spoof).curve(times.astype(np.float64))
    np.testing.assert_allclose(weighted.accepted, repeated.accepted, atol=1e-12)
    np.testing.assert_allclose(weighted.refused, repeated.refused, atol=1e-12)


def test_equal_error_rate_agrees_with_scikit_learn() -> None:
    for seed in range(5):
        scores, spoof = overlapping(seed=seed)
        false_positives, true_positives, _ = roc_curve(spoof, scores, drop_intermediate=False)
        # Where the line from (0, 1) to (1, 0) meets the ROC.
        grid = np.linspace(0, 1, 200_001)
        misses = 1 - np.interp(grid, false_positives, true_positives)
        expected = grid[np.argmin(np.abs(misses - grid))]
        assert metrics.equal_error_rate(Ranking(scores, spoof).curve()) == pytest.approx(expected, abs=0.005)


def test_equal_error_rate_by_hand() -> None:
    # At 0.6 one of four bona fide is refused and one of four spoofs passes.
    scores = [0.1, 0.2, 0.3, 0.6, 0.5, 0.7, 0.8, 0.9]
    spoof = [False] * 4 + [True] * 4
    curve = Ranking(scores, spoof).curve()
    assert metrics.equal_error_rate(curve) == pytest.approx(0.25)
    assert metrics.equal_error_threshold(curve) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("scores", "eer", "auc"), [([0.1, 0.9], 0.0, 1.0), ([0.9, 0.1], 1.0, 0.0), ([0.5, 0.5], 0.5, 0.5)]
)
def test_perfect_inverted_and_useless_detectors(scores: list[float], eer: float, auc: float) -> None:
    curve = Ranking(scores, [False, True]).curve()
    assert metrics.equal_error_rate(curve) == pytest.approx(eer)
    assert metrics.area_under_curve(curve) == pytest.approx(auc)


def test_families_count_the_same() -> None:
    # 90 items of an easy family, 10 of one that is always missed.
    scores = [0.0] * 50 + [1.0] * 90 + [-1.0] * 10
    spoof = [False] * 50 + [True] * 100
    weights = metrics.family_weights(["-"] * 50 + ["easy"] * 90 + ["hard"] * 10)
    assert metrics.eer(scores, spoof) == pytest.approx(0.1)
    assert metrics.eer(scores, spoof, weights) == pytest.approx(0.5)


def test_min_dcf_by_hand() -> None:
    # Costs 0.95 per refused and 0.5 per accepted share, over 0.5. Refusing nobody but catching half costs 0.5.
    scores = [0.1, 0.2, 0.6, 0.3, 0.7]
    spoof = [False, False, False, True, True]
    assert metrics.min_dcf(Ranking(scores, spoof).curve()) == pytest.approx(0.5)
    assert metrics.min_dcf(Ranking([0.1, 0.9], [False, True]).curve()) == 0.0
    assert metrics.min_dcf(Ranking([0.9, 0.1], [False, True]).curve()) == 1.0


def test_min_dcf_agrees_with_scikit_learn() -> None:
    scores, spoof = overlapping(seed=3)
    false_positives, true_positives, _ = roc_curve(spoof, scores, drop_intermediate=False)
    costs = 1.0 * 0.95 * false_positives + 10.0 * 0.05 * (1 - true_positives)
    assert metrics.min_dcf(Ranking(scores, spoof).curve()) == pytest.approx(costs.min() / 0.5)


def test_cllr_agrees_with_scikit_learn() -> None:
    scores, spoof = overlapping(seed=4)
    balance = np.where(spoof, 0.5 / spoof.sum(), 0.5 / (~spoof).sum())
    assert metrics.cllr(scores, spoof) == pytest.approx(log_loss(spoof, scores, sample_weight=balance) / np.log(2))


def test_cllr_by_hand() -> None:
    assert metrics.cllr([0.5, 0.5], [False, True]) == pytest.approx(1.0)
    # -log2(3/4) for the bona fide item and -log2(1/2) for the spoof, halved.
    assert metrics.cllr([0.25, 0.5], [False, True]) == pytest.approx((np.log2(4 / 3) + 1) / 2)


def test_a_sure_error_costs_much_and_stays_finite() -> None:
    assert 9 < metrics.cllr([1.0, 1.0], [False, True]) < 11


def test_rates_at_a_threshold_count_the_threshold_as_spoof() -> None:
    assert metrics.accepted_rate([0.4, 0.5, 0.6, 0.7], 0.5) == 0.25
    assert metrics.refused_rate([0.4, 0.5, 0.6, 0.7], 0.5) == 0.75
    assert metrics.accepted_rate([0.4, 0.6], 0.5, np.array([3.0, 1.0])) == 0.75


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50), st.floats(0, 0.99))
def test_threshold_keeps_the_promise_and_is_the_least_that_does(scores: list[float], bpcer: float) -> None:
    threshold = metrics.threshold_for_bpcer(scores, bpcer)
    assert metrics.refused_rate(scores, threshold) <= bpcer + 1e-9
    lower = [score for score in scores if score < threshold]
    assert not lower or metrics.refused_rate(scores, max(lower)) > bpcer - 1e-9


def test_threshold_for_bpcer_by_hand() -> None:
    scores = np.arange(20) / 20
    assert metrics.threshold_for_bpcer(scores, 0.05) == pytest.approx(0.925)
    assert metrics.threshold_for_bpcer(scores, 0.0) == pytest.approx(0.975)
    assert metrics.refused_rate([1.0, 1.0], metrics.threshold_for_bpcer([1.0, 1.0], 0.0)) == 0.0


@pytest.mark.parametrize("lower", [0.3, float(np.nextafter(0.3, 1.0))])
def test_a_threshold_keeps_its_promise_between_scores_with_no_number_between_them(lower: float) -> None:
    # The mean over windows of one and the same score may be the next number.
    scores = [lower] * 9 + [float(np.nextafter(lower, 1.0))]
    assert metrics.refused_rate(scores, metrics.threshold_for_bpcer(scores, 0.1)) == 0.1


def test_a_bpcer_next_to_1_refuses_all_but_the_lowest_score() -> None:
    assert metrics.threshold_for_bpcer([0.1, 0.2], float(np.nextafter(1.0, 0.0))) == pytest.approx(0.15)


@pytest.mark.parametrize("bpcer", [-0.1, 1.0, 2.0])
def test_impossible_bpcer_is_refused(bpcer: float) -> None:
    with pytest.raises(ValueError, match="BPCER"):
        metrics.threshold_for_bpcer([0.5], bpcer)


def test_interval_of_a_rate_is_the_binomial_one() -> None:
    rng = np.random.default_rng(5)
    scores = np.concatenate([rng.random(400) < 0.2, np.ones(400)]).astype(np.float64)
    spoof = np.arange(800) >= 400
    people = [str(index) for index in range(800)]

    def refused(weights: NDArray[np.float64]) -> list[float]:
        return [metrics.refused_rate(scores[~spoof], 0.5, weights[~spoof])]

    low, high = metrics.bootstrap(refused, spoof, people)[:, 0]
    rate = scores[~spoof].mean()
    half = 1.96 * np.sqrt(rate * (1 - rate) / 400)
    assert low == pytest.approx(rate - half, abs=0.01)
    assert high == pytest.approx(rate + half, abs=0.01)


def test_items_of_one_person_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(6)
    per_person = rng.normal(0, 1, 40).repeat(25) + np.repeat([0.0, 1.5], 500)
    spoof = np.arange(1000) >= 500
    people = [str(index // 25) for index in range(1000)]
    ranking = Ranking(per_person, spoof)

    def eer(weights: NDArray[np.float64]) -> list[float]:
        return [metrics.equal_error_rate(ranking.curve(weights))]

    of_people = np.diff(metrics.bootstrap(eer, spoof, people, rounds=300)[:, 0])
    of_items = np.diff(metrics.bootstrap(eer, spoof, [str(index) for index in range(1000)], rounds=300)[:, 0])
    assert of_people > 3 * of_items


def test_intervals_are_the_same_every_time() -> None:
    scores, spoof = overlapping(seed=7)
    ranking = Ranking(scores, spoof)

    def eer(weights: NDArray[np.float64]) -> list[float]:
        return [metrics.equal_error_rate(ranking.curve(weights))]

    people = [str(index // 4) for index in range(len(scores))]
    first, second = (metrics.bootstrap(eer, spoof, people, rounds=50) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_within_its_own_group_a_detector_of_groups_is_useless() -> None:
    scores, spoof = overlapping(seed=8)
    groups = np.where(spoof == (np.arange(len(spoof)) % 4 > 0), "clean", "noisy")  # most spoofs are clean
    even = np.ones(len(spoof))
    follows = np.where(groups == "clean", 0.9, 0.1)
    assert metrics.area_under_curve(Ranking(follows, spoof).curve()) > 0.7
    assert metrics.WithinGroups(follows, spoof, groups.tolist()).auc(even) == pytest.approx(0.5)
    by_hand = [(spoof[groups == name].sum(), roc_auc_score(spoof[groups == name], scores[groups == name])) for name in
               ("clean", "noisy")]  # fmt: skip
    expected = sum(count * auc for count, auc in by_hand) / spoof.sum()
    assert metrics.WithinGroups(scores, spoof, groups.tolist()).auc(even) == pytest.approx(expected)
    assert not metrics.WithinGroups(scores, spoof, ["spoof" if each else "bonafide" for each in spoof])
    assert np.isnan(metrics.WithinGroups(scores, spoof, groups.tolist()).auc(np.where(spoof, 1.0, 0.0)))


def test_sites_are_drawn_with_both_their_classes() -> None:
    spoof = np.array([True, False, True, False, True, False])
    sites = ["a", "a", "b", "b", "c", "d"]
    drawn: list[NDArray[np.float64]] = []

    def look(weights: NDArray[np.float64]) -> list[float]:
        drawn.append(weights)
        return [0.0]

    metrics.bootstrap(look, spoof, sites, rounds=50, together=True)
    assert len(drawn) == 50
    for weights in drawn:
        assert weights[0] == weights[1]
        assert weights[2] == weights[3]
        assert weights[0] + weights[2] + weights[4] + weights[5] == 4
        assert weights[spoof].any()
        assert weights[~spoof].any()


@settings(max_examples=20)
@given(cases)
def test_shifting_scores_changes_no_rank_figure(case: Case) -> None:
    scores, spoof = case
    plain, shifted = Ranking(scores, spoof).curve(), Ranking(scores * 0.3 + 0.1, spoof).curve()
    for figure in (metrics.equal_error_rate, metrics.min_dcf, metrics.area_under_curve):
        assert figure(plain) == pytest.approx(figure(shifted))


@pytest.mark.parametrize(
    ("scores", "spoof", "message"),
    [
        ([0.1, 0.2], [True, True], "both classes"),
        ([0.1, 0.2], [False, False], "both classes"),
        ([], [], "both classes"),
        ([0.1, np.nan], [False, True], "finite"),
        ([0.1], [False, True], "do not go together"),
    ],
)
def test_what_cannot_be_measured_is_refused(scores: list[float], spoof: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ranking(scores, spoof)

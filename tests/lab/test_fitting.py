"""Fitting a calibration, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from lab.fitting import Method, fit, fit_weights
from lab.metrics import cllr
from models.calibration import Calibration, logits


def scores_of(spread: float, shift: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose logits are `spread` times too large and off by `shift`."""
    rng = np.random.default_rng(0)
    spoof = rng.random(count) < 0.3
    true_logits = rng.normal(np.where(spoof, 1.0, -1.0), np.sqrt(2))  # these are their own log odds
    return 1 / (1 + np.exp(-(spread * true_logits + shift))), spoof


def test_platt_undoes_a_wrong_scale_and_offset() -> None:
    scores, spoof = scores_of(3.0, 1.2)
    scale, offset = fit(scores, spoof, "platt")
    assert scale == pytest.approx(1 / 3, rel=0.1)
    assert offset == pytest.approx(-0.4, abs=0.1)
    better = Calibration(scale, offset, 0.5, "v").apply(scores.astype(np.float32))
    assert cllr(better, spoof) < cllr(scores, spoof) - 0.1


def test_platt_agrees_with_scikit_learn() -> None:
    scores, spoof = scores_of(0.5, -1.0)
    model = LogisticRegression(C=1e9, class_weight="balanced", solver="newton-cholesky", tol=1e-10)
    model.fit(logits(scores)[:, None], spoof)
    scale, offset = fit(scores, spoof, "platt")
    assert scale == pytest.approx(model.coef_[0, 0], rel=0.01)  # targets are softened by 1 in 1,000
    assert offset == pytest.approx(model.intercept_[0], abs=0.01)


def test_temperature_leaves_one_half_where_it_is() -> None:
    scores, spoof = scores_of(4.0, 0.0)
    scale, offset = fit(scores, spoof, "temperature")
    assert offset == 0.0
    assert scale == pytest.approx(0.25, rel=0.1)
    assert fit(scores, spoof, "none") == (1.0, 0.0)


def test_classes_that_do_not_overlap_still_give_a_finite_scale() -> None:
    scale, offset = fit([0.1, 0.2, 0.8, 0.9], [False, False, True, True], "platt")
    assert 0 < scale < 10
    assert np.isfinite(offset)


@pytest.mark.parametrize(
    ("spoof_share", "bonafide", "spoofed", "spread"),
    [(0.9, -40, -8, 0.5), (0.9, -40, -9, 0.5), (0.9, -40, -6, 0.2), (0.7, -40, -9, 0.5), (0.3, 8, 40, 1.0)],
)
def test_scores_on_one_side_are_fitted_as_those_in_the_middle(
    spoof_share: float, bonafide: float, spoofed: float, spread: float
) -> None:
    """As of a model to which everything sounds real, or nothing; those of one class are as sure as can be."""
    rng = np.random.default_rng(3)
    spoof = rng.random(400) < spoof_share
    aside = logits(1 / (1 + np.exp(-(np.where(spoof, spoofed, bonafide) + rng.normal(0.0, spread, 400)))))
    shift = np.copysign(10.0, aside[0])
    expected = fit(1 / (1 + np.exp(-(aside - shift))), spoof, "platt")
    scale, offset = fit(1 / (1 + np.exp(-aside)), spoof, "platt")
    assert scale == pytest.approx(expected[0], rel=1e-4)
    assert offset + scale * shift == pytest.approx(expected[1], abs=1e-3)


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_a_model_that_ranks_the_wrong_way_round_is_not_turned_over(method: str) -> None:
    scores, spoof = scores_of(1.0, 0.0)
    with pytest.raises(ValueError, match="turn the model over"):
        fit(scores, ~spoof, method)  # type: ignore[arg-type]


def members_of(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores of three members: a good one, a weaker one that errs otherwise, and one that tells nothing."""
    rng = np.random.default_rng(1)
    spoof = rng.random(count) < 0.3
    side = np.where(spoof, 1.0, -1.0)
    odds = np.stack([rng.normal(side, 1.0), rng.normal(0.4 * side, 1.0), rng.normal(0.0, 1.0, count)], 1)
    return 1 / (1 + np.exp(-odds)), spoof


@pytest.mark.parametrize("method", ["platt", "temperature"])
@pytest.mark.parametrize("scores", [[0.5] * 4, [0.9] * 4, [0.2, 0.7, 0.2, 0.7]])
def test_a_model_that_tells_nothing_apart_is_not_calibrated(scores: list[float], method: Method) -> None:
    with pytest.raises(ValueError, match="do not score higher"):
        fit(scores, [False, False, True, True], method)


def test_a_member_that_always_says_the_same_gets_no_weight() -> None:
    spoof = [False, False, True, True]
    weights, _ = fit_weights([[0.9, 0.2], [0.9, 0.4], [0.9, 0.3], [0.9, 0.8]], spoof)
    assert (weights[0], weights[1] > 0) == (0.0, True)
    with pytest.raises(ValueError, match="do not score higher"):
        fit_weights([[0.9]] * 4, spoof)


def test_weights_agree_with_scikit_learn() -> None:
    members, spoof = members_of()
    model = LogisticRegression(C=1e9, class_weight="balanced", solver="newton-cholesky", tol=1e-10)
    model.fit(logits(members[:, :2]), spoof)
    weights, intercept = fit_weights(members[:, :2], spoof)
    np.testing.assert_allclose(weights, model.coef_[0], rtol=0.01)
    assert intercept == pytest.approx(model.intercept_[0], abs=0.01)


def test_a_member_that_would_be_turned_over_gets_no_weight() -> None:
    members, spoof = members_of()
    inverted = np.column_stack([members[:, 0], 1 - members[:, 1], members[:, 1]])
    weights, intercept = fit_weights(inverted, spoof)
    assert weights[1] == 0.0
    alone, same = fit_weights(members[:, :2], spoof)
    np.testing.assert_allclose([weights[0], weights[2], intercept], [*alone, same], rtol=1e-6)
    with pytest.raises(ValueError, match="turn the model over"):
        fit_weights(members[:, :2], ~spoof)


def test_members_that_agree_in_everything_share_the_weight() -> None:
    members, spoof = members_of()
    weights, _ = fit_weights(members[:, [0, 0]], spoof)
    (alone,), _ = fit_weights(members[:, :1], spoof)
    assert sum(weights) == pytest.approx(alone, rel=1e-3)

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.engine import Engine
from models.errors import InferenceFailed
from models.info import Device, EngineName, Precision
from models.scoring import score_each


class Means:
    """An engine whose score is an item's mean; 77 makes it fail, and it remembers its batches."""

    name: EngineName = "torch"
    device: Device = "cpu"
    precision: Precision = "fp32"
    max_batch_size = 3

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        self.shapes.append(batch.shape)
        if (batch == 77).any():
            raise RuntimeError("poison")
        means: NDArray[np.float32] = batch.mean(axis=1).astype(np.float32)
        return means


def _score(engine: Engine, *items: Any) -> list[float]:
    scores: list[float] = score_each(engine, items, lambda array: array.dtype == np.float32).tolist()
    return scores


def _row(value: float, length: int = 4) -> NDArray[np.float32]:
    return np.full(length, value, np.float32)


def test_scores_come_back_in_order_whatever_the_lengths() -> None:
    engine = Means()
    assert _score(engine, _row(0.1), _row(0.2, 2), _row(0.3), _row(0.4, 2), _row(0.5)) == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.5]
    )
    assert sorted(engine.shapes) == [(2, 2), (3, 4)]


def test_no_batch_is_larger_than_the_engine_takes() -> None:
    engine = Means()
    assert _score(engine, *[_row(0.5)] * 8) == [0.5] * 8
    assert engine.shapes == [(3, 4), (3, 4), (2, 4)]


def test_bad_items_get_nan_and_harm_nobody() -> None:
    bad: list[Any] = [None, "x", [0.1], _row(0.5).astype(np.float64), _row(np.nan), _row(np.inf), _row(77)]
    scores = _score(Means(), _row(0.1), *bad, _row(0.2))
    assert scores[0] == pytest.approx(0.1)
    assert scores[-1] == pytest.approx(0.2)
    assert all(np.isnan(scores[1:-1]))


def test_nothing_to_score() -> None:
    assert _score(Means()) == []
    assert np.isnan(_score(Means(), None)[0])


def test_an_engine_that_fails_on_everything_is_an_error() -> None:
    with pytest.raises(InferenceFailed, match="poison"):
        _score(Means(), _row(77), _row(77), _row(77, 2))


def test_an_engine_that_miscounts_is_an_error() -> None:
    class Miscounting(Means):
        def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
            return np.zeros(len(batch) + 1, np.float32)

    with pytest.raises(InferenceFailed, match="scores of shape"):
        _score(Miscounting(), _row(0.1))

"""Scores items independently: equal shapes share batches, and a bad item gets NaN without affecting others."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.engine import Engine
from models.errors import InferenceFailed

logger = logging.getLogger(__name__)


def score_each(engine: Engine, items: Sequence[Any], fits: Callable[[NDArray[Any]], bool]) -> NDArray[np.float32]:
    """P(spoof) of each item, float32 `(n,)` in 0..1; NaN where an item cannot be scored.

    Args:
        engine: that computes.
        items: arrays; anything else is a bad item.
        fits: whether an array has a dtype and shape that the engine takes.

    Raises:
        InferenceFailed: the engine failed on every single one of the items that fit.
    """
    scores = np.full(len(items), np.nan, dtype=np.float32)
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        if isinstance(item, np.ndarray) and fits(item):
            by_shape[item.shape].append(index)
    failures: list[Exception] = []
    for indices in by_shape.values():
        for start in range(0, len(indices), engine.max_batch_size):
            batch = indices[start : start + engine.max_batch_size]
            scores[batch] = _run(engine, [items[index] for index in batch], failures)
    fitting = sum(map(len, by_shape.values()))
    if fitting and len(failures) == fitting:
        raise InferenceFailed(f"the {engine.name} engine fails on every item: {failures[0]}") from failures[0]
    scores[~np.isfinite(scores)] = np.nan
    return scores


def _run(engine: Engine, arrays: list[NDArray[Any]], failures: list[Exception]) -> NDArray[np.float32]:
    """One batch; when the engine fails on it, each item alone, so that only the bad ones fail."""
    try:
        scores = engine.run(np.stack(arrays))
        if scores.shape != (len(arrays),):
            raise ValueError(f"{len(arrays)} items gave scores of shape {scores.shape}")
        return scores
    except Exception as error:  # engines raise errors of many unrelated classes
        if len(arrays) == 1:
            logger.exception("an item cannot be scored", extra={"shape": arrays[0].shape})
            failures.append(error)
            return np.full(1, np.nan, dtype=np.float32)
    return np.concatenate([_run(engine, [array], failures) for array in arrays])

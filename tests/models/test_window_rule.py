"""A model's own windows of a window of the service: every sample is in one, and none is longer than asked for."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.manifest_fields import Last, Short
from models.window_rule import WindowRule

COUNT = np.arange(10, dtype=np.int16)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (WindowRule(10, 10, "repeat"), [list(range(10))]),
        (WindowRule(12, 12, "repeat"), [[*range(10), 0, 1]]),
        (WindowRule(12, 12, "zero_pad"), [[*range(10), 0, 0]]),
        (WindowRule(12, 12, "as_is"), [list(range(10))]),
        (WindowRule(5, 5, "repeat"), [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]),
        (WindowRule(4, 4, "repeat"), [[0, 1, 2, 3], [4, 5, 6, 7], [6, 7, 8, 9]]),
        (WindowRule(4, 4, "repeat", "repeat"), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 8, 9]]),
        (WindowRule(4, 4, "repeat", "zero_pad"), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]),
        (WindowRule(4, 4, "repeat", "as_is"), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]),
        (WindowRule(4, 3, "repeat"), [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]),
        (WindowRule(4, None, "repeat"), [list(range(10))]),
    ],
)
def test_windows_of_ten_samples(rule: WindowRule, expected: list[list[int]]) -> None:
    assert [part.tolist() for part in rule.parts(COUNT)] == expected


@pytest.mark.parametrize(
    ("rule", "least", "expected"),
    [
        (WindowRule(4, 4, "repeat", "as_is"), 2, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]),
        (WindowRule(4, 4, "repeat", "as_is"), 3, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (WindowRule(4, 4, "repeat", "zero_pad"), 3, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]),
        (WindowRule(4, 4, "repeat", "repeat"), 3, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 8, 9]]),
        (WindowRule(8, 7, "repeat", "as_is"), 4, [list(range(8))]),
        (WindowRule(8, 3, "repeat", "as_is"), 4, [list(range(8)), list(range(3, 10))]),
        (WindowRule(12, 12, "as_is", "as_is"), 11, [list(range(10))]),
    ],
)
def test_a_rest_that_is_too_short_for_the_model_is_left_out_unless_it_is_all(
    rule: WindowRule, least: int, expected: list[list[int]]
) -> None:
    assert [part.tolist() for part in rule.parts(COUNT, least)] == expected


@given(st.integers(1, 300), st.integers(1, 100), st.data())
def test_every_sample_is_in_a_window(length: int, samples: int, data: st.DataObject) -> None:
    hop = data.draw(st.integers(1, samples))
    short = data.draw(st.sampled_from(get_args(Short)))
    last = data.draw(st.sampled_from(get_args(Last)))
    window = np.arange(1, length + 1, dtype=np.int16)
    parts = WindowRule(samples, hop, short, last).parts(window)
    assert set(window.tolist()) <= {sample for part in parts for sample in part.tolist()} <= {0, *window.tolist()}
    assert all(len(part) <= samples for part in parts)
    if "as_is" not in (short, last):
        assert all(len(part) == samples for part in parts)

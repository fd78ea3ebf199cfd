"""The cutter: same samples, same windows, whatever the blocks."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.windows import Cut, WindowCutter

RATE = 1_000


def ramp(count: int) -> NDArray[np.float32]:
    return np.arange(1, count + 1, dtype=np.float32)


def cut(blocks: list[NDArray[np.float32]], window_s: float, hop_s: float | None = None) -> list[Cut]:
    cutter = WindowCutter(RATE, window_s, hop_s)
    cuts = [whole for block in blocks for whole in cutter.feed(block)]
    last = cutter.flush()
    return cuts + ([last] if last else [])


@given(st.integers(1, 300), st.integers(1, 60), st.integers(1, 60), st.integers(0, 90), st.integers(0, 40))
def test_what_lies_before_a_window_comes_with_it(count: int, window: int, hop: int, before: int, earlier: int) -> None:
    hop, samples, history = min(hop, window), ramp(count) + earlier, ramp(earlier)
    plain = WindowCutter(RATE, window / RATE, hop / RATE, history)
    longer = WindowCutter(RATE, window / RATE, hop / RATE, history, before / RATE)
    whole = [*plain.feed(samples), *([last] if (last := plain.flush()) else [])]
    more = [*longer.feed(samples), *([last] if (last := longer.flush()) else [])]
    assert [cut.fresh for cut in more] == [cut.fresh for cut in whole]
    for with_more, cut in zip(more, whole, strict=True):
        end = int(cut.samples[-1])
        expected = np.arange(max(1, end - longer._most + 1), end + 1)
        assert np.array_equal(with_more.samples, expected)
        assert np.array_equal(with_more.samples[-len(cut.samples) :], cut.samples)


@given(st.integers(0, 500), st.lists(st.integers(0, 500), max_size=10), st.integers(1, 60), st.integers(1, 60))
def test_any_split_gives_the_same_windows(count: int, cuts: list[int], window: int, hop: int) -> None:
    samples, hop = ramp(count), min(hop, window)
    edges = [0, *sorted(min(edge, count) for edge in cuts), count]
    blocks = [samples[a:b] for a, b in pairwise(edges)]
    whole, split = (cut(parts, window / RATE, hop / RATE) for parts in ([samples], blocks))
    assert [c.fresh for c in whole] == [c.fresh for c in split]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(whole, split, strict=True))


@given(st.integers(0, 500), st.integers(1, 60), st.integers(1, 60))
def test_windows_start_every_hop_and_cover_every_sample(count: int, window: int, hop: int) -> None:
    hop = min(hop, window)
    cuts = cut([ramp(count)], window / RATE, hop / RATE)
    for index, (samples, _) in enumerate(cuts):
        end = min(index * hop + window, count)
        assert np.array_equal(samples, ramp(count)[max(0, end - window) : end])
    assert np.array_equal(np.concatenate([c.samples[-c.fresh :] for c in cuts] or [ramp(0)]), ramp(count))


def test_a_multiple_of_the_window_leaves_no_rest() -> None:
    assert [c.fresh for c in cut([ramp(200)], 0.1)] == [100, 100]


def test_the_last_window_reaches_back_and_a_lone_one_is_short() -> None:
    first, last = cut([ramp(130)], 0.1)
    assert (first.fresh, last.fresh) == (100, 30)
    assert np.array_equal(last.samples, ramp(130)[30:])
    (lone,) = cut([ramp(30)], 0.1)
    assert lone.fresh == 30
    assert np.array_equal(lone.samples, ramp(30))


def test_windows_go_on_after_a_flush() -> None:
    cutter = WindowCutter(RATE, 0.1)
    assert cutter.feed(ramp(30)) == []
    (short,) = [cutter.flush()]
    assert short is not None
    assert len(short.samples) == 30
    cutter.feed(ramp(60)[30:])
    longer = cutter.flush()
    assert longer is not None
    assert longer.fresh == 30
    assert np.array_equal(longer.samples, ramp(60))


@given(st.integers(0, 300), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_another_cutter_goes_on_where_one_ends(count: int, window: int, other: int, hop: int) -> None:
    first = WindowCutter(RATE, window / RATE, min(hop, window) / RATE)
    cuts = first.feed(ramp(count))
    history, unseen, rate = first.rest
    assert rate == RATE
    second = WindowCutter(RATE, other / RATE, history=history)
    cuts += second.feed(unseen)
    last = second.flush()
    cuts += [last] if last else []
    assert np.array_equal(np.concatenate([c.samples[-c.fresh :] for c in cuts] or [ramp(0)]), ramp(count))
    if last is not None:
        assert np.array_equal(last.samples, ramp(count)[-len(last.samples) :])
        assert len(last.samples) >= min(other, window, count)


def test_no_window_changes_after_it_was_handed_out() -> None:
    cutter = WindowCutter(RATE, 0.1, 0.05)
    (first,) = cutter.feed(ramp(100))
    before = first.samples.copy()
    cutter.feed(np.full(300, -1, dtype=np.float32))
    assert np.array_equal(first.samples, before)


def test_flush_empties_the_cutter() -> None:
    cutter = WindowCutter(RATE, 0.1)
    cutter.feed(ramp(30))
    assert (cutter.unseen_samples, len(cutter.rest.unseen)) == (30, 30)
    assert cutter.flush() is not None
    assert cutter.flush() is None
    assert (cutter.unseen_samples, len(cutter.rest.unseen)) == (0, 0)


@pytest.mark.parametrize(("window_s", "hop_s"), [(0.0, None), (0.1, 0.0), (0.1, 0.2), (-1.0, None)])
def test_impossible_windows_are_refused(window_s: float, hop_s: float | None) -> None:
    with pytest.raises(ValueError, match="cannot cut"):
        WindowCutter(RATE, window_s, hop_s)

from collections.abc import Hashable

from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.fair_queue import FairQueue, Waiting

CALLS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), max_size=30)


def order(queue: FairQueue[str]) -> str:
    return "".join(entry.work for entry in queue)


def test_flows_beside_each_other_take_turns() -> None:
    queue = FairQueue[str]()
    for work in "aaaaa" + "bb" + "c":
        queue.add(work, 1.0, work)
    assert order(queue) == "abcabaaa"


def test_who_takes_more_at_a_time_comes_less_often() -> None:
    queue = FairQueue[str]()
    for work in "aaa" + "bbbbbb":
        queue.add(work, 8.0 if work == "a" else 2.0, work)
    assert order(queue) == "abbbbabba"


def test_what_was_taken_while_nobody_else_waited_is_forgotten() -> None:
    queue = FairQueue[str]()
    for _ in range(100):
        queue.take([queue.add("a", 1.0, "a")])
    for work in "aa" + "bbbb":
        queue.add(work, 1.0, work)
    assert order(queue) in ("babbab", "bababb")


def test_calls_that_gave_up_do_not_set_the_next_ones_back() -> None:
    queue = FairQueue[str]()
    for entry in [queue.add("a", 1.0, "a") for _ in range(100)]:
        assert queue.discard(entry)
        assert not queue.discard(entry)
    for work in "bb" + "aa":
        queue.add(work, 1.0, work)
    assert order(queue) == "baba"
    assert len(queue._waiting) == 2


@settings(max_examples=100, deadline=None)
@given(CALLS, st.lists(st.booleans(), min_size=30, max_size=30), st.integers(1, 5))
def test_all_are_taken_once_in_their_order_and_in_equal_shares(
    calls: list[tuple[str, int]], gave_up: list[bool], at_a_time: int
) -> None:
    queue = FairQueue[int]()
    entries = [queue.add(number, weight, caller) for number, (caller, weight) in enumerate(calls)]
    left = [entry for entry, leaves in zip(entries, gave_up, strict=False) if not (leaves and queue.discard(entry))]
    shares: dict[Hashable, float] = dict.fromkeys("abc", 0.0)
    taken: list[Waiting[int]] = []
    while first := list(queue)[:at_a_time]:
        queue.take(first)
        for entry in first:
            taken.append(entry)
            shares[entry.flow] += entry.weight
            waiting = [shares[each.flow] for each in left if each not in taken]
            assert max(waiting, default=0.0) - min(waiting, default=0.0) <= 4
    assert sorted(entry.work for entry in taken) == [entry.work for entry in left]
    for flow in "abc":
        numbers = [entry.work for entry in taken if entry.flow == flow]
        assert numbers == sorted(numbers)

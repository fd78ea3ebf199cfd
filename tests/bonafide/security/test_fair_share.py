from contextlib import ExitStack

import pytest

from bonafide.errors import Overloaded
from bonafide.security.fair_share import FairShare


def taken(shares: FairShare, caller: str, stack: ExitStack) -> int:
    """Takes places until one is refused; how many there were."""
    count = 0
    while True:
        try:
            stack.enter_context(shares.hold(caller))
        except Overloaded:
            return count
        count += 1


def test_greedy_callers_leave_places_to_others() -> None:
    shares = FairShare(1024, "calls")
    with ExitStack() as stack:
        greedy = [taken(shares, f"greedy-{n}", stack) for n in range(8)]
        assert greedy == [512, 256, 128, 64, 32, 16, 8, 4]
        others = [taken(shares, f"other-{n}", stack) for n in range(30)]
        assert others == [4] * 30


def test_who_gives_back_shares_with_those_who_came_later() -> None:
    shares = FairShare(64, "calls")
    with ExitStack() as late:
        with ExitStack() as early:
            assert taken(shares, "early", early) == 32
            assert taken(shares, "late", late) == 16
        with ExitStack() as early:
            assert taken(shares, "early", early) == 24
            assert taken(shares, "late", late) == 4  # now both hold 20 or more of 64


def test_what_is_given_back_can_be_taken_again_and_nothing_is_kept() -> None:
    shares = FairShare(16, "calls")
    for _ in range(100):
        with ExitStack() as stack:
            assert taken(shares, "a", stack) == 8
            with pytest.raises(Overloaded, match="too many calls: 8 of yours are open"):
                stack.enter_context(shares.hold("a"))
    assert not shares._held

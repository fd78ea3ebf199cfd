from hypothesis import given
from hypothesis import strategies as st

from bonafide.security.rate_limit import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_calls_at_once_and_then_as_they_flow_in() -> None:
    clock = Clock()
    limit = RateLimit(clock)
    assert [limit.take("bank", 60) for _ in range(60)] == [0.0] * 60
    assert limit.take("bank", 60) == 1.0
    clock.now = 0.75
    assert limit.take("bank", 60) == 0.25
    clock.now = 1.0
    assert limit.take("bank", 60) == 0.0
    assert limit.take("bank", 60) == 1.0


def test_callers_do_not_share() -> None:
    limit = RateLimit(Clock())
    assert limit.take("a", 1) == 0.0
    assert limit.take("a", 1) > 0
    assert limit.take("b", 1) == 0.0


def test_a_changed_limit_holds_at_once() -> None:
    limit = RateLimit(Clock())
    assert limit.take("a", 1) == 0.0
    assert [limit.take("a", 3) for _ in range(3)] == [0.0] * 3
    assert limit.take("a", 3) == 20.0


@given(per_minute=st.integers(1, 10_000), waits=st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_never_more_than_what_flowed_in(per_minute: int, waits: list[float]) -> None:
    clock = Clock()
    limit = RateLimit(clock)
    let_in = 0
    for wait in waits:
        clock.now += wait
        let_in += limit.take("a", per_minute) == 0.0
    assert let_in <= per_minute + clock.now * per_minute / 60 + 1e-6


@given(per_minute=st.integers(1, 10_000), calls=st.integers(1, 300))
def test_who_waits_as_told_is_let_in(per_minute: int, calls: int) -> None:
    clock = Clock()
    limit = RateLimit(clock)
    for _ in range(calls):
        if wait := limit.take("a", per_minute):
            clock.now += wait + 1e-9
            assert limit.take("a", per_minute) == 0.0

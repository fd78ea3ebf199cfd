from contextlib import ExitStack

import pytest

from bonafide.errors import Overloaded
from bonafide.runner.admission import Admission
from bonafide.security.caller import set_caller
from tests.bonafide.fakes import LocalRemote, ready_runner


def filled(admission: Admission, caller: str, held: ExitStack) -> int:
    """Holds slots until there is none for this caller; how many."""
    count = 0
    while admission.admits(caller):
        held.enter_context(admission.hold(caller))
        count += 1
    return count


@pytest.mark.parametrize(("slots", "spare"), [(1, 1), (2, 1), (64, 8)])
def test_a_key_that_has_all_slots_leaves_some_to_other_keys(slots: int, spare: int) -> None:
    admission = Admission(slots)
    with ExitStack() as held:
        assert filled(admission, "greedy", held) == slots
        assert filled(admission, "", held) == 0
        assert [filled(admission, f"other-{n}", held) for n in range(spare + 2)] == [*[1] * spare, 0, 0]
        assert admission.active == slots + spare
    assert admission.active == 0
    assert not admission._held


async def test_the_runner_admits_by_the_key_of_the_call() -> None:
    runner = await ready_runner(LocalRemote(), float, max_calls=1)
    set_caller("ann")
    with runner.admit():
        with pytest.raises(Overloaded), runner.admit():
            pass
        set_caller("bob")
        with runner.admit():
            assert runner.active_calls == 2
    assert runner.active_calls == 0

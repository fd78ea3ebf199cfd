import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.calls import Call, printable_id
from bonafide.errors import DeadlineExceeded


async def test_the_deadline_ends_the_block() -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        async with Call.within(0.02).time_limit():
            await asyncio.sleep(5)
    assert time.monotonic() - began < 1


async def test_a_deadline_that_has_passed_ends_the_block_at_its_first_wait() -> None:
    with pytest.raises(DeadlineExceeded):
        async with Call.within(-1).time_limit():
            await asyncio.sleep(5)


async def test_a_timeout_from_inside_is_not_ours() -> None:
    with pytest.raises(TimeoutError):
        async with Call.within(5).time_limit():
            raise TimeoutError


def test_keeps_a_usable_request_id_and_replaces_any_other() -> None:
    assert Call.within(1, request_id="abc-1.2:3").request_id == "abc-1.2:3"
    for bad in ("", "a b", "a\nb", "x" * 129, "é"):
        assert Call.within(1, request_id=bad).request_id not in ("", bad)
    assert Call.within(1).request_id != Call.within(1).request_id


@given(st.text())
def test_a_task_id_never_breaks_a_log_line(text: str) -> None:
    printable = printable_id(text)
    assert printable.isprintable()
    assert len(printable) <= 128

"""How long a storage that fails is waited for."""

import time
from collections.abc import Callable

import pytest

from bonafide.errors import Unavailable
from scan.retries import StorageGone, retried


def failing(times: int, each_s: float) -> Callable[[], int]:
    """An action of `each_s` seconds that fails at its end, so many times; then it gives how often it was called."""
    called = 0

    def action() -> int:
        nonlocal called
        called += 1
        time.sleep(each_s)
        if called <= times:
            raise Unavailable("gone")
        return called

    return action


def test_an_action_that_takes_longer_than_patience_is_tried_again_too() -> None:
    assert retried(failing(1, 1.0), 0.9, "listing") == 2


def test_patience_ends() -> None:
    with pytest.raises(StorageGone, match="listing: Unavailable"):
        retried(failing(9, 0.1), 0.9, "listing")


def test_without_patience_nothing_is_tried_again() -> None:
    with pytest.raises(StorageGone):
        retried(failing(1, 0.0), 0.0, "listing")

"""Whole numbers that a configuration states for an architecture of this project."""

from typing import Any

MAX_CHANNELS = 1024


def checked(name: str, given: Any, most: int, largest: int = MAX_CHANNELS) -> list[int]:
    """A list of whole numbers.

    Args:
        name: of the configuration's entry.
        given: what it says.
        most: how many numbers there may be.
        largest: of them.

    Raises:
        ValueError: they are no such numbers; a configuration may say anything.
    """
    listed = isinstance(given, (list, tuple)) and 1 <= len(given) <= most
    if not listed or not all(type(each) is int and 1 <= each <= largest for each in given):
        raise ValueError(f"{name} must be 1 to {most} numbers from 1 to {largest}, not {given!r:.100}")
    return list(given)

"""Types of arguments that both commands have."""

import argparse
from collections.abc import Callable
from typing import TypeVar

N = TypeVar("N", int, float)


def number(kind: type[N], least: N, most: N) -> Callable[[str], N]:
    """A type for `argparse`: a number of a kind, from `least` to `most`."""

    def read(text: str) -> N:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}")
        return value

    read.__name__ = kind.__name__  # which `argparse` names where the text is none
    return read

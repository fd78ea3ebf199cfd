"""Standard input, for a reader that may be left behind."""

import sys
from typing import BinaryIO


def standard_input() -> BinaryIO:
    """Without a buffer: Python could not end while a thread that is left behind waits for it."""
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)

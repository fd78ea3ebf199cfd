"""Standard input, for a reader that may be left behind."""

import os
import sys
from typing import BinaryIO


def standard_input() -> BinaryIO:
    """Without a buffer: Python could not end while a thread that is left behind waits for it.

    A pipe that does not block, as of a program that works by events, is made to: a pause in it would be its end.
    """
    descriptor = sys.stdin.fileno()
    if sys.platform != "win32":  # no pipes there that do not block, and before Python 3.12 no way to ask
        os.set_blocking(descriptor, True)
    return open(descriptor, "rb", buffering=0, closefd=False)

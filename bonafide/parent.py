"""Processes that end with the process that started them, however that ends (Linux)."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # before any fork: a forked process must not load libraries


def end_with_parent(parent: int) -> None:
    """Has the kernel kill this process when its parent ends, and ends it now if the parent has ended already.

    Also holds for the program that this process may become by `exec`.

    The thread of the parent that started this process counts as the parent, so it must be one that stays.

    Args:
        parent: process id of the parent, known before this process was started.

    Raises:
        OSError: the kernel refused.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)

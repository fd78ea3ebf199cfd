"""Signals that a terminal, systemd or the supervisor sends to every process at once, which decoding must outlive.

The service handles them, and decoding goes on while it drains.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

GROUP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held_back() -> Iterator[None]:
    """A process that is started in the block does not get them before it calls `ignore`; nor does this thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore() -> None:
    """In a process that was started so: drops those that have come, and all that will."""
    for each in GROUP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)

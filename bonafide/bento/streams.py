"""Standard streams for a process that was started with closed ones, as some programs start their daemons.

Without them the next files and sockets that are opened get the numbers 0 to 2: what any library writes to its standard
output lands in them, and BentoML's supervisor replaces them with /dev/null in the processes that it starts.
"""

import os
import sys
from pathlib import Path

_LAST = 2


def open_standard_streams() -> None:
    """Has /dev/null in the place of each that is closed, also in the processes that this one starts."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - stays open

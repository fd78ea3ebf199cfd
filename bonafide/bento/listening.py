"""The real address of this process: BentoML takes it from a flag, the environment or the service's configuration."""

import os
import socket
import sys
from collections.abc import Sequence


def http_host(arguments: Sequence[str] = sys.argv) -> str:
    """The address of the socket that BentoML's supervisor opened for this process; `unix:` for a file.

    Raises:
        RuntimeError: this process was not started by BentoML.
    """
    try:
        descriptor = int(arguments[arguments.index("--fd") + 1])
    except (ValueError, IndexError) as error:
        raise RuntimeError("no socket was handed over by BentoML (--fd)") from error
    with socket.socket(fileno=os.dup(descriptor)) as listening:
        if listening.family == socket.AF_UNIX:
            return "unix:"
        return str(listening.getsockname()[0])

"""The process from which decoding processes are forked: it has imported what they need, and decodes nothing itself.

`python -m bonafide.decoders.template FD`: each byte that comes over the UNIX socket FD carries a connection, which a
new process serves. The first message on that connection is a handle (pidfd) to kill the process. When the service
ends in any way, FD is closed: this process ends, and its children with it.
"""

import faulthandler
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bonafide.decoders import group_signals
from bonafide.decoders.worker import serve
from bonafide.parent import end_with_parent
from bonafide.photo.face_detector import FaceDetector


def main() -> None:
    """Forks until the service closes its end."""
    control = socket.socket(fileno=int(sys.argv[1]))
    group_signals.ignore()
    with _quiet():  # LiteRT tells how it computes, in a line that is no JSON
        FaceDetector.of_process()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        connection = socket.socket(fileno=descriptors[0])
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            control.close()
            end_with_parent(parent)
            serve(connection)
            os._exit(0)
        with connection, suppress(ProcessLookupError, BrokenPipeError, ConnectionResetError):
            handle = os.pidfd_open(child)
            try:
                socket.send_fds(connection, [b"\0"], [handle])
            finally:
                os.close(handle)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing reaches the log, except where a crash was; what is raised is told after it."""
    log = sys.stderr.fileno()
    kept, nowhere = os.dup(log), os.open(os.devnull, os.O_WRONLY)
    faulthandler.enable(kept)
    try:
        os.dup2(nowhere, log)
        yield
    finally:
        os.dup2(kept, log)
        faulthandler.disable()
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    main()

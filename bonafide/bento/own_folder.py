"""A folder for what processes of one service share, which does not outlast them for long.

It is removed when the process that made it ends. That of a process which was killed is removed by the next one that
makes such a folder: each keeps its folder locked, and the kernel lets go of the lock however the process ends.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "bonafide-run-"
"""Begins the names of these folders, in the system's folder for temporary files."""

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_LOCK = fcntl.LOCK_EX | fcntl.LOCK_NB


def own_folder() -> Path:
    """A new folder without access for other users.

    Processes that are forked from this one keep it locked too.

    Raises:
        OSError: it cannot be made.
    """
    _remove_left()
    while not _keep_locked(folder := Path(tempfile.mkdtemp(prefix=PREFIX))):
        pass
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _keep_locked(folder: Path) -> bool:
    """Locks a folder until this process ends; False: another one took it for left before it was locked."""
    try:
        descriptor = os.open(folder, _OPEN)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, _LOCK)
        if os.path.samestat(os.fstat(descriptor), folder.stat()):
            return True
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:  # a file system without locks, where nobody takes it for left
        return True
    os.close(descriptor)
    return False


def _remove_left() -> None:
    """Removes the folders of this user that no process keeps locked."""
    with os.scandir(tempfile.gettempdir()) as entries:
        found = [each.path for each in entries if each.name.startswith(PREFIX)]
    for path in found:
        with suppress(OSError):  # locked, somebody else's, no folder, or removed by another process meanwhile
            descriptor = os.open(path, _OPEN)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, _LOCK)
                    shutil.rmtree(path)
            finally:
                os.close(descriptor)

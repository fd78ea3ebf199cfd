"""The names in a folder, brought to the disk. No dependencies."""

import errno
import os
from pathlib import Path

_NO_SUCH_STEP = (errno.EINVAL, errno.EOPNOTSUPP)


def sync_folder(folder: Path) -> None:
    """Makes the names of new files last, where the file system has such a step: not all can sync a folder.

    Raises:
        OSError: they may not last.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SUCH_STEP:
            raise
    finally:
        os.close(descriptor)

"""File systems that cannot bring the names in a folder to the disk."""

import os
import stat


class Folders:
    """Stands for `os.fsync`; that of a folder fails with these errors first.

    Attributes:
        synced: for each that did not fail, whether it was of a folder.
    """

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.synced: list[bool] = []
        self._sync = os.fsync

    def __call__(self, file: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(file).st_mode)
        if is_folder and self.errors:
            raise OSError(self.errors.pop(0), "the folder")
        self.synced.append(is_folder)
        self._sync(file)

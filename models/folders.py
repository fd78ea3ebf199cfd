"""Folders that are either complete or absent: built beside their path, then renamed, by one process at a time."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from models.folder_sync import sync_folder


def build_once(target: Path, build: Callable[[Path], None], is_whole: Callable[[Path], bool] = lambda _: True) -> Path:
    """Returns `target`, after `build` has filled it if it did not exist.

    Processes that need the same folder at the same time wait for the first one. A `build` that fails, a process that
    dies within it, or a machine that loses power leaves no `target`.

    Args:
        target: the folder wanted.
        build: fills the empty folder that it is given; its errors are passed on.
        is_whole: whether a folder that is there can be used; if it cannot, it is built anew.
    """
    if target.is_dir() and is_whole(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f".{target.name}.lock")):
        if target.is_dir():
            if is_whole(target):  # another process has built it by now
                return target
            shutil.rmtree(target)
        for left_behind in target.parent.glob(f".{target.name}.new-*"):
            shutil.rmtree(left_behind, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.new-", dir=target.parent))
        try:
            build(fresh)
            fresh.chmod(0o755)
            _to_disk(fresh)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return target


def _to_disk(folder: Path) -> None:
    """Has all files on disk before the folder gets its name: a disk may write the name first, and then lose power."""
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            sync_folder(path)
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock that the kernel frees when the process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

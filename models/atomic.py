"""Files that are written whole or not at all, by any number of processes at once. No dependencies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path` that is renamed to `path` when the block succeeds.

    Interrupted runs thus leave no partial file that a rerun would take for a finished one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""An array that takes minutes to compute, on disk: written row by row, and there under its name once it is complete."""

import logging
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray

log = logging.getLogger(__name__)

_NOTE_S = 30.0


def write_rows(
    file: Path, shape: tuple[int, ...], dtype: DTypeLike, rows: Iterable[NDArray[np.generic]], what: str
) -> None:
    """Writes `rows` in their order.

    Args:
        file: of numpy's format; its folder is made.
        shape: of all, the number of rows first.
        dtype: of what is kept.
        rows: as many as `shape` says.
        what: they are, for the log.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    kept = open_memmap(partial, "w+", np.dtype(dtype), shape)
    noted = time.monotonic()
    for number, row in zip(range(shape[0]), rows, strict=True):
        kept[number] = row
        if time.monotonic() - noted > _NOTE_S:
            noted = time.monotonic()
            log.info("%s: %d of %d", what, number + 1, shape[0])
    kept.flush()
    partial.rename(file)

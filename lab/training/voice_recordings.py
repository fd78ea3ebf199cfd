"""Recorded training windows on disk, so that what learns from them does not wait for codecs and rooms."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW
from lab.training.voice_windows import FOUR, Recordings, fours

log = logging.getLogger(__name__)

_SCALE = 32767
_NOTE_S = 30.0


def write(
    items: Sequence[Item], count: int, seed: int, workers: int, file: Path
) -> tuple[NDArray[np.int16], list[int]]:
    """Draws fours of windows and records them, or opens the file that a run before wrote.

    Args:
        items: the training side of the manifest.
        count: how many fours.
        seed: of the draws.
        workers: processes that record.
        file: 512 KB for each four.

    Returns:
        Samples, int16 (4 count, 64000), on disk, as loud as int16 can hold; and the number of each window's item.

    Raises:
        ValueError: the file was written for another count.
    """
    draws = [draw for four in fours(items, count, seed) for draw in four]
    shape = (count * len(FOUR), WINDOW)
    numbers = [number for number, _ in draws]
    if file.exists():
        found = np.load(file, mmap_mode="r")
        if found.shape != shape:
            raise ValueError(f"{file} was written for {len(found) // len(FOUR)} fours, not {count}: remove it")
        return found, numbers
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    recorded = open_memmap(partial, "w+", np.int16, shape)
    loader = DataLoader(Recordings(items), batch_sampler=[[draw] for draw in draws], num_workers=workers)
    noted = time.monotonic()
    for number, batch in enumerate(loader):
        samples = batch["input_values"][0].numpy()
        recorded[number] = np.round(samples * (_SCALE / max(float(np.abs(samples).max()), 1e-9)))
        if time.monotonic() - noted > _NOTE_S:
            noted = time.monotonic()
            log.info("recorded windows: %d of %d", number + 1, len(draws))
    recorded.flush()
    partial.rename(file)
    return recorded, numbers

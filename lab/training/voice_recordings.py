"""Recorded training windows on disk, so that what learns from them does not wait for codecs and rooms."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from lab.line.samples import Samples
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW
from lab.training.kept_rows import write_rows
from lab.training.voice_windows import FOUR, Recordings, fours

FULL_SCALE = 32767
"""The loudest sample of each window."""


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
    if not file.exists():
        loader = DataLoader(Recordings(items), batch_sampler=[[draw] for draw in draws], num_workers=workers)
        rows = (_as_loud_as_can_be(batch["input_values"][0].numpy()) for batch in loader)
        write_rows(file, shape, np.int16, rows, "recorded windows")
    found = np.load(file, mmap_mode="r")
    if found.shape != shape:
        raise ValueError(f"{file} was written for {len(found) // len(FOUR)} fours, not {count}: remove it")
    return found, numbers


def _as_loud_as_can_be(samples: Samples) -> NDArray[np.int16]:
    return np.round(samples * (FULL_SCALE / max(float(np.abs(samples).max()), 1e-9))).astype(np.int16)

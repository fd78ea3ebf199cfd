"""Recorded training windows on disk, so that what learns from them does not wait for codecs and rooms."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from lab.line.samples import Samples
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW
from lab.training.data.voice_calls import call
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


def write_calls(windows: NDArray[np.int16], seed: int, workers: int, file: Path) -> NDArray[np.int16]:
    """The same windows once more, each through a call, or opens the file that a run before wrote.

    Args:
        windows: of `write`; an original and its copy go through the same call.
        seed: of the calls.
        workers: processes that make them.
        file: as large as that of the windows.

    Returns:
        Samples, int16 (windows, 64000), on disk, as loud as int16 can hold.
    """
    if not file.exists():
        loader = DataLoader(_Calls(windows, seed), batch_size=None, num_workers=workers)
        write_rows(file, windows.shape, np.int16, (heard.numpy() for heard in loader), "calls")
    found: NDArray[np.int16] = np.load(file, mmap_mode="r")
    return found


class _Calls(Dataset[NDArray[np.int16]]):
    def __init__(self, windows: NDArray[np.int16], seed: int) -> None:
        self._windows, self._seed = windows, seed

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> NDArray[np.int16]:
        four, place = divmod(index, len(FOUR))
        rng = np.random.default_rng((self._seed, four, max(place, 1)))  # the first two are a pair
        return _as_loud_as_can_be(call(np.asarray(self._windows[index] / FULL_SCALE, np.float32), rng))


def _as_loud_as_can_be(samples: Samples) -> NDArray[np.int16]:
    return np.round(samples * (FULL_SCALE / max(float(np.abs(samples).max()), 1e-9))).astype(np.int16)

"""Decoded windows and photos as batches: evenly drawn, varied if asked for, prepared by the very code that serves."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler

from lab.finetuning.decoded import Decoded
from lab.training.balance import sampling_weights
from lab.training.data.voice_channel import channel

Example = tuple[NDArray[Any], int]
"""int16 (samples,) or uint8 (height, width, 3), and the index of its class."""


class Examples(Dataset[Example]):
    """Arrays with their classes.

    Args:
        decoded: the arrays.
        spoof: index of the class that means spoof, 0 or 1.
        varied: change each array anew whenever it is asked for.
    """

    def __init__(self, decoded: Decoded, spoof: int, *, varied: bool = False) -> None:
        self._arrays = decoded.arrays
        self._classes = np.where(decoded.spoof, spoof, 1 - spoof).tolist()
        self._varied = varied

    def __len__(self) -> int:
        return len(self._classes)

    def __getitem__(self, index: int) -> Example:
        array = np.array(self._arrays[index])
        if self._varied:
            # numpy's generator follows torch's, which Trainer seeds, saves and restores.
            rng = np.random.default_rng(int(torch.randint(2**31, ()).item()))
            array = _through_a_line(array, rng) if array.ndim == 1 else _mirrored(array, rng)
        return array, self._classes[index]


class Batches(Sampler[list[int]]):
    """Which examples each step learns from: both classes half, attack families and people near to equal.

    The draw depends on the seed alone, so a training that is taken up again skips what it saw.
    """

    def __init__(self, decoded: Decoded, size: int, count: int, seed: int) -> None:
        weights = sampling_weights(decoded.attacks, [trial.subject for trial in decoded.trials])
        self._reached = np.cumsum(weights) / weights.sum()
        self._size, self._count, self._seed = size, count, seed

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng(self._seed)
        last = len(self._reached) - 1
        for _ in range(self._count):
            yield np.searchsorted(self._reached, rng.random(self._size), side="right").clip(max=last).tolist()


class Collate:
    """Examples to what a classifier takes: `{"input_values" or "pixel_values": float32, "labels": int64}`."""

    def __init__(self, prepare: nn.Module, input_name: str) -> None:
        self._prepare = prepare
        self._input_name = input_name

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Stacks and prepares."""
        raw = torch.from_numpy(np.stack([array for array, _ in examples]))
        with torch.no_grad():
            inputs = self._prepare(raw)
        return {self._input_name: inputs, "labels": torch.tensor([number for _, number in examples])}


def _through_a_line(window: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
    """The window recorded anew: room, noise, band and codec, as the bundled model was trained with."""
    wet = channel(window.astype(np.float32) / np.float32(32768), rng)
    return np.asarray(np.rint(wet * 32767), np.int16)


def _mirrored(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photo, half of the times the other way round."""
    return np.ascontiguousarray(photo[:, ::-1]) if rng.random() < 0.5 else photo

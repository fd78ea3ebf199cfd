"""Decoded windows and photos as batches: drawn evenly, augmented if configured, prepared by the service's code."""

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
        varied: augment each array anew on every access.
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
    """The examples of each step: half of each class, attack families and subjects nearly balanced.

    The draw depends on the seed alone, so a resumed training skips the examples that it has used.
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
    """Examples to a classifier's input: `{"input_values" or "pixel_values": float32, "labels": int64}`."""

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
    """The window through a simulated recording chain: room, noise, band and codec, as for the bundled model."""
    wet = channel(window.astype(np.float32) / np.float32(32768), rng)
    return np.asarray(np.rint(wet * 32767), np.int16)


def _mirrored(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photo, mirrored half of the time."""
    return np.ascontiguousarray(photo[:, ::-1]) if rng.random() < 0.5 else photo

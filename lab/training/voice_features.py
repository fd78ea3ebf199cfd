"""Features from the frozen front of the model, kept on disk: the layers behind it then train several times as fast.

Training windows are augmented for it, in fours (`voice_windows.fours`); one pass over the file is equivalent to
drawing them during training. Building can be resumed.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch.utils.data import DataLoader, Dataset

from lab.training.data.manifest import SPOOF, Item
from lab.training.data.voice_audio import WINDOW, load
from lab.training.voice_windows import FOUR, SPOOF_CLASS, Recordings, fours, normalise
from models.statistics_wavlm import WavLMForStatistics

log = logging.getLogger(__name__)

_SPOKEN_AT_LEAST = 0.2
"""Share of a crop that lies before the zeros at the end of its window."""


class FourFeatures(Dataset[dict[str, torch.Tensor]]):
    """Fours of crops: `{"features": float32 (4, crop, width), "spectrum": ..., "labels": int64 (4,)}`.

    The crops are drawn by torch's generator on every access; a copy is cropped like its original.
    """

    def __init__(self, folder: Path, crop: int, kept: Sequence[int] | None = None) -> None:
        """Opens the output of `write_fours`.

        Args:
            folder: See there.
            crop: Length of a crop in frames of 20 ms.
            kept: Numbers of the fours to use; all by default.
        """
        self.features = np.load(folder / "features.npy", mmap_mode="r")
        self.spectrum = np.load(folder / "spectrum.npy", mmap_mode="r")
        self.speech = np.load(folder / "speech.npy")
        self.kept = range(len(self.speech)) if kept is None else kept
        self.crop = crop

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        number = self.kept[index]
        frames = self.features.shape[2]
        last = np.round(self.speech[number] * frames - _SPOKEN_AT_LEAST * self.crop)
        starts = (torch.rand(len(FOUR)).numpy() * (np.clip(last, 0, frames - self.crop) + 1)).astype(int)
        starts[1] = starts[0]
        crops = [(each, start, start + self.crop) for each, start in enumerate(starts)]
        features = np.stack([self.features[number, each, start:end] for each, start, end in crops])
        # Spectra come twice as often as frames, and a frame reaches over five of them.
        spectrum = np.stack([self.spectrum[number, each, 2 * start : 2 * end + 4] for each, start, end in crops])
        return {
            "features": torch.from_numpy(features.astype(np.float32)),
            "spectrum": torch.from_numpy(spectrum.astype(np.float32)),
            "labels": torch.tensor(FOUR),
        }


class WindowFeatures(Dataset[dict[str, torch.Tensor]]):
    """Windows as stored: `{"features": float32 (frames, width), "spectrum": ..., "labels": int64 ()}`."""

    def __init__(self, model: WavLMForStatistics, items: Sequence[Item]) -> None:
        """Computes the features of all of them; 1,000 windows take 250 MB."""
        self.labels = [SPOOF_CLASS if item.label == SPOOF else 1 - SPOOF_CLASS for item in items]
        samples = (torch.from_numpy(normalise(load(item.path)))[None] for item in items)
        self.heard = [[part[0].half() for part in front_features(model, each)] for each in samples]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        features, spectrum = self.heard[index]
        return {
            "features": features.float(),
            "spectrum": spectrum.float(),
            "labels": torch.tensor(self.labels[index]),
        }


@torch.inference_mode()
def front_features(model: WavLMForStatistics, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The front's output: float32 (windows, samples) in, (windows, frames, width) and its spectra out."""
    return model.front(samples)


def write_fours(
    model: WavLMForStatistics, items: Sequence[Item], count: int, seed: int, workers: int, folder: Path
) -> None:
    """Draws `count` fours and writes their features, in half precision: 0.6 MB each.

    Args:
        model: Its front must be final.
        items: The training side of the manifest.
        count: How many fours.
        seed: Of the draws; four number n is the same in every run.
        workers: Processes that augment windows.
        folder: Holds `features.npy` (count, 4, frames, width), `spectrum.npy` and `speech.npy` (count, 4), the
            share of each window before the zeros at its end; 0 for fours that are not written yet.

    Raises:
        ValueError: The folder holds another number of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shapes = [(count, len(FOUR), *part.shape[1:]) for part in front_features(model, torch.zeros(1, WINDOW))]
    files = [folder / f"{name}.npy" for name in ("features", "spectrum", "speech")]
    mode = "r+" if all(file.exists() for file in files) else "w+"
    features = open_memmap(files[0], mode, np.float16, shapes[0])
    spectrum = open_memmap(files[1], mode, np.float16, shapes[1])
    speech = open_memmap(files[2], mode, np.float32, shapes[0][:2])
    if features.shape != shapes[0]:
        raise ValueError(f"{files[0]} was written for {len(features)} fours, not {count}: remove it")
    missing = np.flatnonzero(speech[:, 0] == 0)
    draws = list(fours(items, count, seed))
    loader = DataLoader(Recordings(items), batch_sampler=[draws[n] for n in missing], num_workers=workers)
    last = time.monotonic()
    for number, batch in zip(missing, loader, strict=True):
        features[number], spectrum[number] = (part.numpy() for part in front_features(model, batch["input_values"]))
        speech[number] = batch["speech"].numpy()
        if time.monotonic() - last > 30:
            last = time.monotonic()
            log.info("recorded fours: %d of %d", number + 1, count)

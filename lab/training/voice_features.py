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
from transformers import WavLMForSequenceClassification

from lab.training.data.manifest import SPOOF, Item
from lab.training.data.voice_audio import WINDOW, load
from lab.training.voice_windows import FOUR, SPOOF_CLASS, Recordings, fours, normalise

log = logging.getLogger(__name__)

_SPOKEN_AT_LEAST = 0.2
"""Share of a crop that lies before the zeros at the end of its window."""


class FourFeatures(Dataset[dict[str, torch.Tensor]]):
    """Fours of crops: `{"features": float32 (4, crop, width), "labels": int64 (4,)}`.

    The crops are drawn by torch's generator on every access; a copy is cropped like its original.
    """

    def __init__(self, folder: Path, crop: int) -> None:
        """Opens the output of `write_fours`; `crop` is in frames of 20 ms."""
        self.features = np.load(folder / "features.npy", mmap_mode="r")
        self.speech = np.load(folder / "speech.npy")
        self.crop = crop

    def __len__(self) -> int:
        return len(self.speech)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        frames = self.features.shape[2]
        last = np.round(self.speech[index] * frames - _SPOKEN_AT_LEAST * self.crop)
        starts = (torch.rand(len(FOUR)).numpy() * (np.clip(last, 0, frames - self.crop) + 1)).astype(int)
        starts[1] = starts[0]
        crops = [window[start : start + self.crop] for window, start in zip(self.features[index], starts, strict=True)]
        return {"features": torch.from_numpy(np.stack(crops).astype(np.float32)), "labels": torch.tensor(FOUR)}


class WindowFeatures(Dataset[dict[str, torch.Tensor]]):
    """Windows as stored: `{"features": float32 (frames, width), "labels": int64 ()}`."""

    def __init__(self, model: WavLMForSequenceClassification, items: Sequence[Item]) -> None:
        """Computes the features of all of them; 1,000 windows take 150 MB."""
        self.labels = [SPOOF_CLASS if item.label == SPOOF else 1 - SPOOF_CLASS for item in items]
        samples = (torch.from_numpy(normalise(load(item.path)))[None] for item in items)
        self.features = [front_features(model, each)[0].half() for each in samples]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"features": self.features[index].float(), "labels": torch.tensor(self.labels[index])}


@torch.inference_mode()
def front_features(model: WavLMForSequenceClassification, samples: torch.Tensor) -> torch.Tensor:
    """The layers' input: float32 (windows, samples) in, (windows, frames, width) out."""
    features: torch.Tensor = model.wavlm.feature_projection(model.wavlm.feature_extractor(samples).transpose(1, 2))[0]
    return features


def write_fours(
    model: WavLMForSequenceClassification, items: Sequence[Item], count: int, seed: int, workers: int, folder: Path
) -> None:
    """Draws `count` fours and writes their features, in half precision: 0.6 MB each.

    Args:
        model: Its front must be final.
        items: The training side of the manifest.
        count: How many fours.
        seed: Of the draws; four number n is the same in every run.
        workers: Processes that augment windows.
        folder: Holds `features.npy` (count, 4, frames, width) and `speech.npy` (count, 4), the share of each
            window before the zeros at its end; 0 for fours that are not written yet.

    Raises:
        ValueError: The folder holds another number of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, len(FOUR), *front_features(model, torch.zeros(1, WINDOW)).shape[1:])
    files = [folder / "features.npy", folder / "speech.npy"]
    mode = "r+" if all(file.exists() for file in files) else "w+"
    features = open_memmap(files[0], mode, np.float16, shape)
    speech = open_memmap(files[1], mode, np.float32, shape[:2])
    if features.shape != shape:
        raise ValueError(f"{files[0]} was written for {len(features)} fours, not {count}: remove it")
    missing = np.flatnonzero(speech[:, 0] == 0)
    draws = list(fours(items, count, seed))
    loader = DataLoader(Recordings(items), batch_sampler=[draws[n] for n in missing], num_workers=workers)
    last = time.monotonic()
    for number, batch in zip(missing, loader, strict=True):
        features[number] = front_features(model, batch["input_values"]).numpy()
        speech[number] = batch["speech"].numpy()
        if time.monotonic() - last > 30:
            last = time.monotonic()
            log.info("recorded fours: %d of %d", number + 1, count)

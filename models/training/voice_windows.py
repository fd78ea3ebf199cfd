"""What the trainings read: manifest rows to normalised 4 s windows with labels."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from models.training.data.manifest import SPOOF, Item
from models.training.data.voice_audio import RATE, WINDOW, Samples, load
from models.training.data.voice_channel import channel

SPOOF_CLASS = 1
TAIL_SHARE = 0.12
"""Share of training windows that end in zeros, as the last window of a recording does."""


def normalise(samples: Samples) -> Samples:
    """Zero mean and unit variance, as `Wav2Vec2FeatureExtractor` with `do_normalize` does it."""
    return np.asarray((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7), np.float32)


class Windows(Dataset[dict[str, torch.Tensor]]):
    """Windows as `WavLMForSequenceClassification` takes them.

    Items are `{"input_values": float32 (64000,), "labels": int64 ()}`. With `vary` each read draws a new
    recording chain and shift from torch's generator, the same way for both classes; without it the file is
    given as it is.
    """

    def __init__(self, items: Sequence[Item], vary: bool) -> None:
        self.items = list(items)
        self.vary = vary

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        item = self.items[index]
        samples = load(item.path)
        if self.vary:
            samples = vary(samples, np.random.default_rng(int(torch.randint(2**31, ()))))
        label = SPOOF_CLASS if item.label == SPOOF else 1 - SPOOF_CLASS
        return {"input_values": torch.from_numpy(normalise(samples)), "labels": torch.tensor(label)}


def vary(samples: Samples, rng: np.random.Generator) -> Samples:
    """A new recording of a dry window: shifted, sent through a chain, sometimes cut short by zeros."""
    wet = channel(np.roll(samples, int(rng.integers(WINDOW))), rng)
    if rng.random() < TAIL_SHARE:
        wet[int(rng.uniform(0.6, 3.8) * RATE) :] = 0
    return wet


def sampling_weights(items: Sequence[Item]) -> torch.Tensor:
    """How often each item is drawn: both classes half, families and speakers near to equal.

    Returns:
        float64 (items,), unnormalised. Families count the same; within a family (and within the bona fide
        class) a speaker counts as the square root of its windows.
    """
    families = Counter(item.attack for item in items)
    spoofs = max(1, sum(family != "-" for family in families))
    voices = Counter((item.attack, item.subject) for item in items)
    shares: Counter[str] = Counter()
    for (attack, _), count in voices.items():
        shares[attack] += count**0.5  # type: ignore[assignment]
    weights = [
        (1.0 if item.label != SPOOF else 1.0 / spoofs) / shares[item.attack] / voices[item.attack, item.subject] ** 0.5
        for item in items
    ]
    return torch.tensor(weights, dtype=torch.float64)

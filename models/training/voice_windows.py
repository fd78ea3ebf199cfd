"""What the trainings read: manifest rows to normalised 4 s windows with labels."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from models.training.data.manifest import SPOOF, Item
from models.training.data.voice_audio import WINDOW, Samples, load
from models.training.data.voice_channel import channel

SPOOF_CLASS = 1
TAIL_SHARE = 0.12
"""Share of training windows that end in zeros, as the last window of a recording does."""


def normalise(samples: Samples) -> Samples:
    """Zero mean and unit variance, as `Wav2Vec2FeatureExtractor` with `do_normalize` does it."""
    return np.asarray((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7), np.float32)


Draw = tuple[int, int]
"""Which item, and the seed of its recording chain."""


class Windows(Dataset[dict[str, torch.Tensor]]):
    """Windows as `WavLMForSequenceClassification` takes them.

    Items are `{"input_values": float32 (samples,), "labels": int64 ()}`. Asked with a number it gives the
    file as it is; asked with a `Draw` it gives `crop` samples of a new recording of it.
    """

    def __init__(self, items: Sequence[Item], crop: int = WINDOW) -> None:
        self.items = list(items)
        self.crop = crop

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: int | Draw) -> dict[str, torch.Tensor]:
        index, seed = key if isinstance(key, tuple) else (key, None)
        item = self.items[index]
        samples = load(item.path)
        if seed is not None:
            samples = vary(samples, np.random.default_rng(seed), self.crop)
        label = SPOOF_CLASS if item.label == SPOOF else 1 - SPOOF_CLASS
        return {"input_values": torch.from_numpy(normalise(samples)), "labels": torch.tensor(label)}


class Pairs(Sampler[list[Draw]]):
    """Batches of fours: a real window, a copy of that very window recorded alike, a synthetic voice, a real one.

    The pair differs in nothing but the vocoder, so neither words, voice nor line can tell it apart. Speakers and
    families are drawn nearly evenly, and both classes make up half of every batch.
    """

    def __init__(self, items: Sequence[Item], batch_size: int, batches: int, seed: int) -> None:
        self.batch_size, self.batches, self.seed = batch_size, batches, seed
        self.weights = sampling_weights(items).numpy()
        self.real = np.array([index for index, item in enumerate(items) if item.label != SPOOF])
        window = {(items[index].subject, items[index].path.name): index for index in self.real}
        self.copies: dict[int, list[int]] = {}
        for index, item in enumerate(items):
            if item.label == SPOOF and (source := window.get((item.subject, item.path.name))) is not None:
                self.copies.setdefault(source, []).append(index)
        copied = {index for copies in self.copies.values() for index in copies}
        self.spoken = np.array([n for n, item in enumerate(items) if item.label == SPOOF and n not in copied])

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[Draw]]:
        rng = np.random.default_rng(self.seed)
        sources = np.array(sorted(self.copies))

        def draw(among: NDArray[np.int64]) -> int:
            weights = self.weights[among]
            return int(rng.choice(among, p=weights / weights.sum()))

        for _ in range(self.batches):
            batch: list[Draw] = []
            while len(batch) < self.batch_size:
                source, seed = draw(sources), int(rng.integers(2**31))
                batch += [(source, seed), (int(rng.choice(self.copies[source])), seed)]
                batch += [(draw(self.spoken), int(rng.integers(2**31))), (draw(self.real), int(rng.integers(2**31)))]
            yield batch[: self.batch_size]


def vary(samples: Samples, rng: np.random.Generator, crop: int = WINDOW) -> Samples:
    """A new recording of a dry window: shifted, sent through a chain, sometimes cut short by zeros.

    Args:
        samples: float32 (64000,).
        rng: Decides.
        crop: How many samples of it to give, at most 64,000.

    Returns:
        float32 (crop,).
    """
    shifted = np.roll(samples, int(rng.integers(WINDOW)))
    wet = channel(shifted[:crop], rng)
    if rng.random() < TAIL_SHARE:
        wet[int(rng.uniform(0.2, 0.95) * crop) :] = 0
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
    shares: dict[str, float] = defaultdict(float)
    for (attack, _), count in voices.items():
        shares[attack] += count**0.5
    weights = [
        (1.0 if item.label != SPOOF else 1.0 / spoofs) / shares[item.attack] / voices[item.attack, item.subject] ** 0.5
        for item in items
    ]
    return torch.tensor(weights, dtype=torch.float64)

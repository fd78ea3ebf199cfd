"""Training input: manifest rows to augmented, normalised 4 s windows."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample
from torch.utils.data import Dataset

from lab.line.samples import Samples
from lab.training.balance import sampling_weights
from lab.training.data.manifest import SPOOF, Item
from lab.training.data.voice_audio import WINDOW, load
from lab.training.data.voice_channel import channel

SPOOF_CLASS = 1
FOUR = (1 - SPOOF_CLASS, SPOOF_CLASS, SPOOF_CLASS, 1 - SPOOF_CLASS)
"""Classes of a four, see `fours`."""
TAIL_SHARE = 0.12
"""Share of training windows that end in zeros, as the last window of a recording does."""
SPEED_SHARE = 0.6
"""Share of training windows whose speed is changed, 12 % slower to 14 % faster."""


def normalise(samples: Samples) -> Samples:
    """Zero mean and unit variance, as `Wav2Vec2FeatureExtractor` with `do_normalize` does it."""
    return np.asarray((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7), np.float32)


Draw = tuple[int, int]
"""An item, and the seed of its recording chain."""


class Recordings(Dataset[dict[str, torch.Tensor]]):
    """New recordings of dry windows: `{"input_values": float32 (64000,), "speech": float32 ()}`.

    `speech` is the share of the window before the zeros at its end. The same `Draw` gives the same recording.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items

    def __getitem__(self, draw: Draw) -> dict[str, torch.Tensor]:
        index, seed = draw
        samples, speech = vary(load(self.items[index].path), np.random.default_rng(seed))
        return {"input_values": torch.from_numpy(normalise(samples)), "speech": torch.tensor(speech)}


def fours(items: Sequence[Item], count: int, seed: int) -> Iterator[list[Draw]]:
    """Draws a real window, a copy of it through the same recording chain, a synthetic voice, another real window.

    The pair differs in nothing but the vocoder, so neither words, voice nor line distinguish it. Speakers and
    families are drawn nearly evenly, and both classes make up half of every four.
    """
    weights = sampling_weights([item.attack for item in items], [item.subject for item in items])
    real = np.array([index for index, item in enumerate(items) if item.label != SPOOF])
    window = {(items[index].subject, items[index].path.name): index for index in real}
    copies: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        if item.label == SPOOF and (source := window.get((item.subject, item.path.name))) is not None:
            copies.setdefault(source, []).append(index)
    copied = {index for group in copies.values() for index in group}
    spoken = np.array([n for n, item in enumerate(items) if item.label == SPOOF and n not in copied])
    sources = np.array(sorted(copies))
    rng = np.random.default_rng(seed)

    def draw(among: NDArray[np.int64]) -> int:
        return int(rng.choice(among, p=weights[among] / weights[among].sum()))

    for _ in range(count):
        original, alike = draw(sources), int(rng.integers(2**31))
        pair = [(original, alike), (int(rng.choice(copies[original])), alike)]
        yield [*pair, (draw(spoken), int(rng.integers(2**31))), (draw(real), int(rng.integers(2**31)))]


def vary(samples: Samples, rng: np.random.Generator) -> tuple[Samples, float]:
    """A new recording of a dry window: shifted, faster or slower, sent through a chain, sometimes cut short by zeros.

    A change of speed acts as another speaker, without a vocoder.

    Args:
        samples: float32 (64000,).
        rng: Draws all parameters.

    Returns:
        float32 (64000,), and the share of it that lies before the zeros.
    """
    shifted = np.roll(samples, int(rng.integers(WINDOW)))
    if rng.random() < SPEED_SHARE:
        played = np.resize(shifted, WINDOW * int(rng.integers(88, 115)) // 100)
        shifted = np.asarray(resample(played, WINDOW), np.float32)
    wet = channel(shifted, rng)
    end = WINDOW
    if rng.random() < TAIL_SHARE:
        end = int(rng.uniform(0.2, 0.95) * WINDOW)
        wet[end:] = 0
    return wet, end / WINDOW

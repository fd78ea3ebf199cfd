"""Training input: manifest rows to augmented, normalised 4 s windows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample
from torch.utils.data import Dataset

from lab.line.samples import Samples
from lab.training.balance import sampling_weights
from lab.training.data.manifest import NO_ATTACK, SPOOF, Item
from lab.training.data.voice_audio import WINDOW, load
from lab.training.data.voice_channel import channel, clean, distorted

SPOOF_CLASS = 1
FOUR = (1 - SPOOF_CLASS, SPOOF_CLASS, SPOOF_CLASS, 1 - SPOOF_CLASS)
"""Classes of a four, see `fours`."""
TAIL_SHARE = 0.12
"""Share of training windows that end in zeros, as the last window of a recording does."""
SPEED_SHARE = 0.6
"""Share of training windows whose speed is changed, 12 % slower to 14 % faster."""
CLEAN_SHARE = 0.35
"""Share of training windows that no recording chain changes but for their level: most of what is tried is clean."""
SAME_CORPUS_SHARE = 0.5
"""How often the second real window is of the synthetic voice's own corpus, where there is real speech of it."""


def spoof_logits(logits: torch.Tensor) -> torch.Tensor:
    """Of both classes, (n, 2) -> the logit of spoof, (n,)."""
    return logits[:, SPOOF_CLASS] - logits[:, 1 - SPOOF_CLASS]


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

    The pair differs in nothing but the vocoder, so neither words, voice nor line distinguish it. Both classes make up
    half of every four; families count as the root of their windows, and so do corpora of real speech as the root of
    their speakers. The other real window often comes from the corpus of the synthetic voice.
    """
    weights = drawing_weights(items)
    real = np.array([index for index, item in enumerate(items) if item.label != SPOOF])
    of_corpus: dict[str, list[int]] = {}
    for index in real:
        of_corpus.setdefault(corpus(items[index].subject), []).append(int(index))
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
        voice = draw(spoken)
        among = np.array(of_corpus.get(corpus(items[voice].subject), real))
        other = draw(among if rng.random() < SAME_CORPUS_SHARE else real)
        yield [*pair, (voice, int(rng.integers(2**31))), (other, int(rng.integers(2**31)))]


def corpus(subject: str) -> str:
    """The corpus that a speaker, or the voice that a system imitates, is of: `Libri`, `LJ`; `packages` for prompts."""
    name = subject.removeprefix("synthetic-")
    if "/" in name and not name.startswith(("mimic3-", "larynx-")):
        return "packages"
    return name.split("-")[0]


def drawing_weights(items: Sequence[Item]) -> NDArray[np.float64]:
    """How often each item is drawn, unnormalised; within a family or corpus, subjects are nearly balanced."""
    group = [corpus(item.subject) if item.attack == NO_ATTACK else item.attack for item in items]
    even = sampling_weights([item.attack for item in items], [item.subject for item in items])
    total: dict[str, float] = defaultdict(float)
    for name, weight in zip(group, even, strict=True):
        total[name] += weight
    families = Counter(item.attack for item in items)
    speakers = Counter(corpus(subject) for subject in {item.subject for item in items if item.attack == NO_ATTACK})
    wanted = [
        (speakers[name] if item.attack == NO_ATTACK else families[name]) ** 0.5
        for name, item in zip(group, items, strict=True)
    ]
    return np.array([weight / total[name] * want for name, weight, want in zip(group, even, wanted, strict=True)])


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
    wet = clean(shifted, rng) if rng.random() < CLEAN_SHARE else channel(distorted(shifted, rng), rng)
    end = WINDOW
    if rng.random() < TAIL_SHARE:
        end = int(rng.uniform(0.2, 0.95) * WINDOW)
        wet[end:] = 0
    return wet, end / WINDOW

"""Labelled files in, bona fide recordings with a spoofed part at a known place out.

The bona fide files of a person are joined; a part of what comes is replaced by spoofed seconds, of the same person
where the data have them, as loud as what they replace. So neither levels nor silence tell where the part is.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.evaluation.trials import Trial
from lab.line.samples import RATE, Samples

Read = Callable[[Path], Samples | None]
"""A file as float32 (n,) at 16 kHz; None: it cannot be read."""
_EDGE_S = 2.0
"""Bona fide seconds on either side of a spoofed part, at least."""
_LEAST_LEVEL = 1e-4


@dataclass(frozen=True, eq=False)
class Spliced:
    """A recording whose truth is known.

    Attributes:
        samples: float32 (n,), 16 kHz mono.
        subject: the person whose bona fide files it is made of.
        start_s: where the spoofed part begins; with `end_s` both 0: there is none.
        end_s: where it ends.
        same_person: whether the spoofed part is in the name of the same person.
    """

    samples: Samples
    subject: str
    start_s: float = 0.0
    end_s: float = 0.0
    same_person: bool = False

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / RATE


def splice(
    trials: Sequence[Trial], read: Read, *, seconds: float, parts_s: Sequence[float], seed: int
) -> list[Spliced]:
    """All recordings that the bona fide files give, each once as it is and once with a spoofed part.

    Args:
        trials: labelled files.
        read: reads one.
        seconds: length of a recording; what a person has less is left out.
        parts_s: lengths of the spoofed parts, in turn, each at most `seconds - 4`.
        seed: of the places and of the choice of spoofed files.
    """
    rng = np.random.default_rng(seed)
    spoofs: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.spoof:
            spoofs[trial.subject].append(trial)
    others = [trial for trial in trials if trial.spoof]
    made: list[Spliced] = []
    for number, (subject, samples) in enumerate(_joined(trials, read, round(seconds * RATE))):
        own = spoofs.get(subject, [])
        length = round(parts_s[number % len(parts_s)] * RATE)
        part = _spoofed(own or others, read, length, rng)
        made.append(Spliced(samples, subject))
        if part is None:
            continue
        edge = round(_EDGE_S * RATE)
        start = int(rng.integers(edge, len(samples) - length - edge + 1))
        changed = samples.copy()
        changed[start : start + length] = part * (_level(samples[start : start + length]) / _level(part))
        made.append(Spliced(changed.clip(-1.0, 1.0), subject, start / RATE, (start + length) / RATE, bool(own)))
    return made


def _joined(trials: Sequence[Trial], read: Read, length: int) -> Iterator[tuple[str, Samples]]:
    """Bona fide samples of one person at a time."""
    genuine: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if not trial.spoof:
            genuine[trial.subject].append(trial)
    for subject, files in genuine.items():
        held: list[Samples] = []
        for trial in files:
            if (samples := read(trial.path)) is not None:
                held.append(samples)
            if sum(map(len, held)) >= length:
                yield subject, np.concatenate(held)[:length]
                held = []


def _spoofed(trials: Sequence[Trial], read: Read, length: int, rng: np.random.Generator) -> Samples | None:
    """So many spoofed samples of one attack, files joined as far as one is too short; None: there are none."""
    if not trials:
        return None
    first = trials[int(rng.integers(len(trials)))]
    kin = [trial for trial in trials if (trial.attack, trial.subject) == (first.attack, first.subject)]
    held: list[Samples] = []
    for trial in [first, *(each for each in kin if each is not first)]:
        if (samples := read(trial.path)) is not None:
            held.append(samples)
        if sum(map(len, held)) >= length:
            break
    if not sum(map(len, held)):
        return None
    return np.resize(np.concatenate(held), length)


def _level(samples: Samples) -> float:
    return max(_LEAST_LEVEL, float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))

"""How much real speech is refused over calls: windows of the development split, as they are and through each line."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lab.line.conditions import CLEAN, Condition, conditions
from lab.line.samples import RATE, Samples, fitted, resample
from lab.training.voice_windows import normalise

Floats = NDArray[np.float32]

LINES = ("mu-law", "gsm", "amr", "opus-16k", "opus-8k", "opus-8k-loss10")
"""Of `lab.robustness`."""
_REFUSED = 0.05


def table(
    windows: Sequence[Samples], groups: Sequence[str], judges: Mapping[str, Callable[[Floats], Floats]]
) -> list[str]:
    """Rows of a Markdown table: the share refused at the threshold that refuses 5 % of all windows as they are.

    Args:
        windows: of real speech, float32 (64000,), 16 kHz, -1..1.
        groups: where each comes from; they are told apart.
        judges: by name; normalised windows, (n, 64000) -> logits of spoof, (n,).
    """
    chosen = [each for each in conditions() if each.name in (CLEAN, *LINES)]
    for each in chosen:
        if reason := each.missing():
            raise RuntimeError(f"{each.name}: {reason}")
    heard = {each.name: np.stack([_through(each, samples) for samples in windows]) for each in chosen}
    names = sorted(set(groups))
    rows = [f"| refused ({', '.join(names)}) | " + " | ".join(heard) + " |", "|---" * (1 + len(heard)) + "|"]
    for name, judge in judges.items():
        scores = {line: judge(samples) for line, samples in heard.items()}
        threshold = float(np.quantile(scores[CLEAN], 1 - _REFUSED))
        cells = []
        for found in scores.values():
            shares = [np.mean(found[np.array(groups) == group] > threshold) for group in names]
            cells.append(", ".join(f"{100 * share:.0f} %" for share in shares))
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def _through(condition: Condition, samples: Samples) -> Samples:
    if condition.degrade is None:
        return normalise(samples)
    sound = condition.degrade(samples, np.random.default_rng(len(samples)))
    return normalise(fitted(resample(sound.samples, sound.rate, RATE), len(samples)))

"""How often each training item is drawn, so that neither the larger class nor the most frequent speaker dominates."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lab.training.data.manifest import NO_ATTACK


def sampling_weights(attacks: Sequence[str], subjects: Sequence[str]) -> NDArray[np.float64]:
    """Sampling weights: half for each class, families and subjects nearly balanced.

    Args:
        attacks: family of each item, `-` for a bona fide one.
        subjects: speaker or person of each item.

    Returns:
        float64 (items,), unnormalised. Families have the same weight; within a family (and within the bona fide
        class) a subject counts as the square root of its items.
    """
    families = Counter(attacks)
    spoofs = max(1, sum(family != NO_ATTACK for family in families))
    items = list(zip(attacks, subjects, strict=True))
    voices = Counter(items)
    shares: dict[str, float] = defaultdict(float)
    for (attack, _), count in voices.items():
        shares[attack] += count**0.5
    weights = [
        (1.0 if attack == NO_ATTACK else 1.0 / spoofs) / shares[attack] / voices[attack, subject] ** 0.5
        for attack, subject in items
    ]
    return np.array(weights, np.float64)

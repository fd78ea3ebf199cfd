"""What the earlier score, the branches' and both tell apart: equal error rates on sites left out, and by family."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lab.metrics import eer, family_weights
from lab.training.data.manifest import NO_ATTACK, Item
from lab.training.data.voice_copies import NEURAL
from lab.training.voice_probe import FOLDS, MODERN_FAMILIES, is_modern, site

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


def table(
    items: Sequence[Item], own: Floats, logits_without: Callable[[frozenset[str]], Floats], more: float
) -> list[str]:
    """Rows of a Markdown table. The earlier model has learned from all sites, the branches from the others alone.

    Args:
        items: of each window: the development split's, and modern ones of the train split.
        own: the earlier model's logits of spoof, (windows,).
        logits_without: the branches' by their scale, (windows,), learned without these sites.
        more: what is added to the earlier model's logit, in its deviations over real speech.
    """
    dev = np.array([item.split == "dev" for item in items])
    modern = np.array([is_modern(item) for item in items])
    attack = np.array([item.attack for item in items])
    real = attack == NO_ATTACK
    columns: dict[str, tuple[Floats, Flags]] = {}
    for name, sites in FOLDS.items():
        of_sites = np.array([site(item) in sites for item in items]) & ~dev & ~np.isin(attack, sorted(NEURAL))
        if of_sites.any():
            columns[name] = logits_without(sites), of_sites | (dev & modern & real)
    everything = logits_without(frozenset())
    columns["old families"] = everything, dev & ~modern & ~np.isin(attack, sorted(MODERN_FAMILIES))
    for name in sorted(MODERN_FAMILIES & set(attack[dev].tolist())):
        columns[name] = everything, dev & ((attack == name) | real)
    earlier = (own - own[dev & real].mean()) / own[dev & real].std() + more
    rows = ["| judged by | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for name in ("earlier score", "branches", "both"):
        cells = []
        for branch, among in columns.values():
            scores = {"earlier score": own, "branches": branch, "both": np.logaddexp(earlier, branch)}[name]
            rate = eer(scores[among], ~real[among], family_weights(attack[among].tolist()))
            cells.append(f"{100 * rate:.1f} %")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows

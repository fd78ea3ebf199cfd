"""The table of both scores: who is judged with whom, and that sites are left out where they are judged."""

from pathlib import Path
from typing import Any

import numpy as np

from lab.training import branch_table
from lab.training.data.manifest import Item
from lab.training.voice_probe import FOLDS

E1 = "github:e1tts/e1tts.github.io"


def item(attack: str, split: Any, source: str = "debian:klettres-data") -> Item:
    return Item(Path("w.wav"), "bonafide" if attack == "-" else "spoof", "a", source, "l", attack, split)


def test_each_column_has_its_windows_and_the_branches_have_not_learned_from_its_sites() -> None:
    items = [
        *[item("-", "dev")] * 4,
        *[item("-", "dev", "github:resemble-ai/Resemblyzer")] * 2,
        *[item("e1", "train", E1)] * 3,
        *[item("espeak", "dev")] * 3,
        *[item("lyra", "dev")] * 2,
    ]
    old = np.array([each.attack == "espeak" for each in items])
    modern = np.array([each.attack in ("e1", "lyra") for each in items])
    noise = np.linspace(0.3, -0.3, len(items))
    asked: list[frozenset[str]] = []

    def logits_without(sites: frozenset[str]) -> Any:
        asked.append(sites)
        return (5.0 * modern + noise).astype(np.float32)

    rows = branch_table.table(items, (5.0 * old + noise).astype(np.float32), logits_without, 0.5)
    assert rows[0] == "| judged by | e1tts | old families | lyra |"
    assert asked == [FOLDS["e1tts"], frozenset()]
    earlier, branches, both = (row.split(" | ")[1:] for row in rows[2:])
    assert earlier[1] == "0.0 %"
    assert earlier[0] != "0.0 %"
    assert branches[0] == "0.0 %"
    assert branches[1] != "0.0 %"
    assert [cell.strip(" |") for cell in both] == ["0.0 %"] * 3

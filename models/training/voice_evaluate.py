"""Error rates of a voice model on one side of the split, per attack family, with intervals.

    python -m models.training.voice_evaluate --model models/bundled/voice --split dev

The test split is for the model that is shipped, once; choices are made on dev.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Wav2Vec2FeatureExtractor, WavLMForSequenceClassification

from models.training.data import manifest
from models.training.data.manifest import NO_ATTACK, SPOOF, Item
from models.training.data.packages import data_dir
from models.training.data.voice import HELD_OUT
from models.training.data.voice_audio import RATE, load
from models.training.voice_metrics import eer, eer_interval, family_weights

log = logging.getLogger(__name__)


def score(folder: Path, items: Sequence[Item], batch_size: int = 16) -> NDArray[np.float32]:
    """Scores windows with a saved model and its own feature extractor.

    Args:
        folder: A transformers folder.
        items: Windows of 64,000 samples.
        batch_size: Windows per call.

    Returns:
        float32 (items,): logit of spoof minus logit of bona fide, by the names in `id2label`.
    """
    model = WavLMForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    model.train(False)
    extractor: Any = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    names = {name: int(index) for index, name in (model.config.id2label or {}).items()}
    spoof = names["spoof"]
    scores = []
    with torch.inference_mode():
        for start in range(0, len(items), batch_size):
            batch = [load(item.path) for item in items[start : start + batch_size]]
            values = extractor(batch, sampling_rate=RATE, return_tensors="pt").input_values
            logits = model(values).logits
            scores.append(logits[:, spoof] - logits[:, 1 - spoof])
    return torch.cat(scores).numpy()


def report(items: Sequence[Item], scores: NDArray[np.float32]) -> dict[str, Any]:
    """Equal error rates with 95 % intervals over speakers.

    Args:
        items: What was scored.
        scores: float (items,), higher means spoof.

    Returns:
        `{"seen": ..., "held_out": ..., "families": {name: ...}}`; each entry is `{"eer", "low", "high",
        "windows", "voices"}`, rates as 0..1. Groups without items are left out. Within `seen` and
        `held_out` every family counts the same.
    """
    families = sorted({item.attack for item in items} - {NO_ATTACK})
    groups = {
        "seen": [name for name in families if name not in HELD_OUT],
        "held_out": [name for name in families if name in HELD_OUT],
    }
    table: dict[str, Any] = {name: _entry(items, scores, group) for name, group in groups.items() if group}
    table["families"] = {name: _entry(items, scores, [name]) for name in families}
    return table


def _entry(items: Sequence[Item], scores: NDArray[np.float32], families: Sequence[str]) -> dict[str, float]:
    kept = [index for index, item in enumerate(items) if item.attack in (*families, NO_ATTACK)]
    chosen = [items[index] for index in kept]
    truth = np.array([item.label == SPOOF for item in chosen])
    weights = family_weights([item.attack for item in chosen])
    low, high = eer_interval(scores[kept], truth, [item.subject for item in chosen], weights)
    return {
        "eer": eer(scores[kept], truth, weights),
        "low": low,
        "high": high,
        "windows": int(truth.sum()),
        "voices": len({item.subject for item in chosen if item.label == SPOOF}),
    }


def table(result: dict[str, Any]) -> str:
    """The report as Markdown."""
    rows = ["| attack | EER | 95 % interval | windows | voices |", "|---|---|---|---|---|"]
    named = {"seen": "families seen in training", "held_out": "families never seen"}
    entries = [(named[key], result[key]) for key in named if key in result]
    for name, entry in [*entries, *result["families"].items()]:
        note = " (never seen)" if name in HELD_OUT else ""
        rows.append(
            f"| {name}{note} | {100 * entry['eer']:.1f} % | {100 * entry['low']:.1f}-{100 * entry['high']:.1f} % "
            f"| {entry['windows']} | {entry['voices']} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.voice_evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = data_dir() / "voice"
    parser.add_argument("--model", type=Path, default=Path("models/bundled/voice"), help="folder (%(default)s)")
    parser.add_argument("--data", type=Path, default=default / "manifest.jsonl", help="manifest (%(default)s)")
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="(%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    items = [item for item in manifest.read(arguments.data) if item.split == arguments.split]
    result = report(items, score(arguments.model, items))
    bonafide = [item for item in items if item.attack == NO_ATTACK]
    speakers = len({item.subject for item in bonafide})
    log.info("%s: %d bona fide windows of %d speakers", arguments.split, len(bonafide), speakers)
    log.info("%s", table(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

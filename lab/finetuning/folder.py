"""The result as a folder in transformers format, and its model card."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.evaluation.trials import BONAFIDE
from lab.finetuning.base import Base
from lab.finetuning.decoded import Decoded
from lab.finetuning.tuning import Tuned
from models.card import licence

_PIPELINES = {"voice": "audio-classification", "face": "image-classification"}
_ITEMS = {"voice": "windows of 4 s", "face": "photos"}
_CLOSING = """
The dev split chose among the checkpoints, so expect somewhat worse on data that chose nothing.
`python -m lab.evaluate` measures it there, `python -m lab.calibrate` fits probabilities and a threshold.
The licence is the base's; whether the data leave it so is for you to know.\
"""


def write_model(folder: Path, base: Base, tuned: Tuned) -> None:
    """Writes weights, configuration and the base's own processor file, with the rule for short windows in training."""
    tuned.model.save_pretrained(folder)
    processor = dict(base.checkpoint.processor)
    if base.task == "voice":
        processor["short_windows"] = "repeated"
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n", encoding="utf-8")


def write_card(
    folder: Path, base: Base, *, train: Decoded, dev: Decoded, facts: Mapping[str, Any], figures: Mapping[str, str]
) -> None:
    """Writes `README.md`.

    Args:
        folder: of the model.
        base: the base checkpoint.
        train: the training data.
        dev: the data that selected the checkpoint.
        facts: how it was trained, by name.
        figures: what was measured, by name.
    """
    stated = licence(base.files.path)
    matter = {
        **({"license": stated} if stated else {}),
        "library_name": "transformers",
        "pipeline_tag": _PIPELINES[base.task],
        "base_model": base.files.name,
        "tags": ["anti-spoofing"],
    }
    classes = ", ".join(f"{index} `{label}`" for index, label in enumerate(base.labels))
    lines = [
        "---",
        yaml.safe_dump(matter, sort_keys=False).rstrip(),
        "---",
        f"# {base.files.name}, fine-tuned to tell spoofs",
        "",
        f"Made by `python -m lab.finetune` from {base.files.name} (version {base.version}).",
        f"Classes: {classes}; {base.spoof} is spoof.",
        "",
        f"| {_ITEMS[base.task]} | train | dev |",
        "|---|---|---|",
        *_counts(train, dev),
        "",
        "| how | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        "",
        "| measured | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in figures.items()),
        _CLOSING,
    ]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _counts(train: Decoded, dev: Decoded) -> list[str]:
    """A row per attack family."""
    learned, chose = Counter(train.attacks), Counter(dev.attacks)
    names = sorted(set(learned) | set(chose))
    return [f"| {'bona fide' if name == BONAFIDE else name} | {learned[name]} | {chose[name]} |" for name in names]

"""A checkpoint folder in transformers format: description, fingerprint, weights. No code in it is ever run."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from models.errors import AmbiguousLabels, CheckpointMismatch, UnsupportedModel
from models.info import Task
from models.labels import SpoofRule

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_HARMLESS_EXTRA = re.compile(r"masked_spec_embed|mask_token|position_ids|(^|\.)(quantizer|project_q|project_hid)\.")
"""Leftovers of pre-training that no classification reads."""
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """A folder's description, read without its weights.

    Attributes:
        folder: the folder itself.
        config: its `config.json`.
        processor: its preprocessor's settings.
        weights: its weight files, sorted by name.
    """

    folder: Path
    config: Mapping[str, Any]
    processor: Mapping[str, Any]
    weights: tuple[Path, ...]

    @property
    def model_type(self) -> str:
        """Family of the architecture, such as `wavlm`."""
        return str(self.config.get("model_type", ""))

    @property
    def id2label(self) -> dict[int, str]:
        """Class names by index, `LABEL_0` and so on when the checkpoint gives none.

        Raises:
            AmbiguousLabels: `label2id` gives another order than `id2label`.
        """
        given = self.config.get("id2label")
        if not given:
            return {index: f"LABEL_{index}" for index in range(int(self.config.get("num_labels", 2)))}
        labels = {int(index): str(label) for index, label in given.items()}
        for label, index in (self.config.get("label2id") or {}).items():
            if labels.get(int(index)) != label and label in labels.values():
                raise AmbiguousLabels(
                    f"id2label {labels} and label2id {self.config['label2id']} of the checkpoint contradict "
                    "each other; correct its config.json"
                )
        return labels


def read_checkpoint(folder: Path) -> Checkpoint:
    """Reads what describes a checkpoint; its weights are only looked for.

    Raises:
        UnsupportedModel: a file is missing or broken.
    """
    config = _json(folder / "config.json")
    if (folder / "preprocessor_config.json").is_file():
        processor = _json(folder / "preprocessor_config.json")
    elif (folder / "processor_config.json").is_file():
        both = _json(folder / "processor_config.json")
        processor = both.get("feature_extractor") or both.get("image_processor") or both
    else:
        raise UnsupportedModel(
            f"{folder.name} holds no preprocessor_config.json, so its preparation of input is unknown"
        )
    weights = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise UnsupportedModel(f"{folder.name} holds no model.safetensors")
    return Checkpoint(folder, config, processor, tuple(weights))


def fingerprint(files: Sequence[Path], facts: Mapping[str, Any], rule: SpoofRule) -> str:
    """12 hex digits that change with anything that changes a score.

    Args:
        files: weight files.
        facts: configuration and preprocessing, JSON types.
        rule: which class is read as spoof.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([facts, rule.index, rule.inverted], sort_keys=True).encode())
    for path in files:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()[:12]


def load_classifier(checkpoint: Checkpoint, task: Task) -> "PreTrainedModel":
    """The classifier with its weights, on the CPU in fp32, in evaluation mode.

    Raises:
        UnsupportedModel: transformers knows no classifier of this kind.
        CheckpointMismatch: the weights do not fill it exactly.
    """
    model, report = _from_pretrained(checkpoint, task)
    refuse_mismatch(
        checkpoint.folder.name,
        missing=report["missing_keys"],
        unexpected=[key for key in report["unexpected_keys"] if not _HARMLESS_EXTRA.search(key)],
        misshapen=[str(entry[0]) for entry in report["mismatched_keys"]],
    )
    model.train(False)
    model.requires_grad_(False)
    return model


def load_for_training(checkpoint: Checkpoint, task: Task, labels: Sequence[str]) -> tuple["PreTrainedModel", bool]:
    """A classifier of these classes, on the CPU in fp32; only its head may be missing in the checkpoint.

    Returns:
        The model, and whether its head is the checkpoint's rather than a random one.

    Raises:
        UnsupportedModel: transformers knows no classifier of this kind.
        CheckpointMismatch: the weights do not fill what is below the head.
    """
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}
    model, report = _from_pretrained(checkpoint, task, **names)
    body = f"{model.base_model_prefix}."
    absent = [key for key in report["missing_keys"] if not _HARMLESS_EXTRA.search(key)]
    misshapen = [str(entry[0]) for entry in report["mismatched_keys"]]
    refuse_mismatch(
        checkpoint.folder.name,
        missing=[key for key in absent if key.startswith(body)],
        unexpected=[],
        misshapen=[key for key in misshapen if key.startswith(body)],
    )
    return model, not absent and not misshapen


def _from_pretrained(checkpoint: Checkpoint, task: Task, **config: Any) -> tuple["PreTrainedModel", dict[str, Any]]:
    """The classifier, and what transformers says of its keys."""
    from safetensors import SafetensorError
    from transformers import AutoModelForAudioClassification, AutoModelForImageClassification
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    auto: Any = AutoModelForAudioClassification if task == "voice" else AutoModelForImageClassification
    name = checkpoint.folder.name
    try:
        loaded: tuple[PreTrainedModel, dict[str, Any]] = auto.from_pretrained(
            checkpoint.folder,
            local_files_only=True,
            trust_remote_code=False,
            dtype="float32",
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **config,
        )
        return loaded
    except UnpicklingError as error:
        raise CheckpointMismatch(
            f"the weights of {name} hold more than tensors, and unpickling them could run code of a stranger; "
            "save them as safetensors"
        ) from error
    except (SafetensorError, EOFError) as error:
        raise CheckpointMismatch(f"the weights of {name} cannot be read: {error}") from error
    except (ValueError, KeyError, OSError) as error:
        raise UnsupportedModel(f"transformers cannot load {name} as a {task} classifier: {error}") from error


def refuse_mismatch(
    name: str, *, missing: Sequence[str], unexpected: Sequence[str], misshapen: Sequence[str] = ()
) -> None:
    """Raises `CheckpointMismatch` with the keys that do not fit, if there are any."""
    found = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    parts = [f"{len(keys)} {what}: {_some(keys)}" for what, keys in found.items() if keys]
    if parts:
        raise CheckpointMismatch(f"the weights of {name} do not fit its architecture; keys {'; '.join(parts)}")


def _some(keys: Sequence[str], most: int = 10) -> str:
    shown = sorted(keys)[:most]
    return ", ".join(shown) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedModel(f"{path.name} of {path.parent.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UnsupportedModel(f"{path.name} of {path.parent.name} holds no JSON object")
    return content

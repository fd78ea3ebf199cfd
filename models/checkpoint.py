"""A checkpoint folder in transformers format: description, fingerprint, weights. No code in it is ever run."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from models.errors import AmbiguousLabels, CheckpointMismatch, UnsupportedModel
from models.info import Task
from models.labels import SpoofRule
from models.processor_defaults import default_processor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

_MASKS = r"(^|\.)(masked_spec_embed|mask_token)$"
UNUSED = re.compile(_MASKS)
"""Weights of a classifier that are used in training only, so that a file may lack them."""
_LEFT_OVER = re.compile(_MASKS + r"|position_ids|(^|\.)(quantizer|project_q|project_hid)\.")
"""Weights from pre-training that no classifier uses."""
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """A folder's description, read without its weights.

    Attributes:
        folder: the folder itself.
        config: its `config.json`.
        processor: its preprocessor's settings.
        weights: its weight files, sorted by name.
        assumed_processor: whether it holds no processor's settings, so that they are its family's usual ones.
    """

    folder: Path
    config: Mapping[str, Any]
    processor: Mapping[str, Any]
    weights: tuple[Path, ...]
    assumed_processor: bool = False

    @property
    def model_type(self) -> str:
        """Family of the architecture, such as `wavlm`."""
        return str(self.config.get("model_type") or ("timm_wrapper" if "pretrained_cfg" in self.config else ""))

    @property
    def id2label(self) -> dict[int, str]:
        """Class names by index, `LABEL_0` and so on when the checkpoint gives none.

        Raises:
            AmbiguousLabels: `label2id` gives another order than `id2label`.
        """
        given = self.config.get("id2label") or dict(
            enumerate(self.config.get("label_names") or ())
        )  # the second: timm's
        if not given and "pretrained_cfg" in self.config:
            raise AmbiguousLabels(
                "config.json of this timm model has no label_names; add them, in the order of its outputs"
            )
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
    """Reads the description of a checkpoint; of its weights, checks only that they exist.

    Raises:
        UnsupportedModel: a file is missing or broken.
    """
    assumed = False
    config = _json(folder / "config.json")
    if (folder / "preprocessor_config.json").is_file():
        processor = _json(folder / "preprocessor_config.json")
    elif (folder / "processor_config.json").is_file():
        both = _json(folder / "processor_config.json")
        processor = both.get("feature_extractor") or both.get("image_processor") or both
    elif usual := default_processor(config):
        processor, assumed = usual, "pretrained_cfg" not in config
    else:
        raise UnsupportedModel(
            f"{folder.name} holds no preprocessor_config.json, so its preparation of input is unknown; copy that of "
            "the checkpoint that it was fine-tuned from into the folder"
        )
    weights = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise UnsupportedModel(f"{folder.name} holds no model.safetensors")
    if assumed:
        logger.warning(
            "a checkpoint without preprocessor_config.json: its input is prepared as is usual in its family",
            extra={"model": folder.name, "processor": processor},
        )
    return Checkpoint(folder, config, processor, tuple(weights), assumed_processor=assumed)


def classes_are_independent(checkpoint: Checkpoint) -> bool:
    """Whether each class has a probability of its own, by `problem_type` in `config.json` (as in transformers).

    Raises:
        UnsupportedModel: its outputs are no probabilities of classes.
    """
    kind = checkpoint.config.get("problem_type") or "single_label_classification"
    if kind not in ("single_label_classification", "multi_label_classification"):
        raise UnsupportedModel(f"problem_type is {kind!r}; a detector classifies, with one label or several")
    return bool(kind == "multi_label_classification")


def fingerprint(files: Sequence[Path], facts: Mapping[str, Any], rule: SpoofRule) -> str:
    """12 hex digits that change with anything that changes a score.

    Args:
        files: weight files.
        facts: configuration and preprocessing, JSON types.
        rule: which class means spoof.
    """
    digest = hashlib.sha256()
    reading = [rule.index, rule.inverted, *(["independent"] if rule.independent else [])]
    digest.update(json.dumps([facts, *reading], sort_keys=True).encode())
    for path in files:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()[:12]


def weight_count(files: Sequence[Path]) -> int:
    """How many numbers weight files hold.

    Raises:
        CheckpointMismatch: a file is broken.
    """
    from models.weights import parameter_count

    return sum(map(parameter_count, files))


def load_classifier(checkpoint: Checkpoint, task: Task) -> "PreTrainedModel":
    """The classifier with its weights, on the CPU in fp32, in evaluation mode.

    Raises:
        UnsupportedModel: transformers has no classifier of this kind.
        CheckpointMismatch: the weights do not fill it exactly.
    """
    model, keys = load_unchecked(checkpoint, task)
    refuse_mismatch(
        checkpoint.folder.name,
        missing=keys.missing,
        unexpected=keys.unexpected,
        misshapen=keys.misshapen,
    )
    model.train(False)
    model.requires_grad_(False)
    return model


class KeyReport(NamedTuple):
    """Which weights a checkpoint and an architecture do not have in common, by their keys.

    Attributes:
        missing: in the checkpoint; random in the model.
        unexpected: in the checkpoint, but not in the model.
        misshapen: of another shape in the checkpoint; random in the model.
    """

    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]


def load_unchecked(checkpoint: Checkpoint, task: Task, **config: Any) -> tuple["PreTrainedModel", KeyReport]:
    """The classifier on the CPU in fp32, with the weights that fit, and the keys of those that do not.

    Args:
        checkpoint: the folder.
        task: voices or faces.
        config: entries of `config.json` to be replaced.

    Raises:
        UnsupportedModel: transformers has no classifier of this kind.
        CheckpointMismatch: the weights cannot be read.
    """
    from safetensors import SafetensorError
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    name = checkpoint.folder.name
    try:
        model, report = _from_transformers(checkpoint, task, config)
        return model, KeyReport(
            missing=list(report["missing_keys"]),
            unexpected=list(report["unexpected_keys"]),
            misshapen=[str(entry[0]) for entry in report["mismatched_keys"]],
        )
    except SafetensorError as error:
        raise CheckpointMismatch(f"the weights of {name} cannot be read: {error}") from error
    except ImportError as error:
        raise UnsupportedModel(
            f"{name} is a timm model, and timm, which is needed for it, is not installed here or is too old: "
            f"`pip install timm`, or export the model to ONNX ({str(error).strip().splitlines()[0]})"
        ) from error
    except (ValueError, KeyError, OSError) as error:
        raise UnsupportedModel(f"transformers cannot load {name} as a {task} classifier: {error}") from error


def _from_transformers(
    checkpoint: Checkpoint, task: Task, changes: Mapping[str, Any]
) -> tuple["PreTrainedModel", Mapping[str, Any]]:
    """The model, and what transformers says of its keys."""
    import transformers

    from models.weights import State, needs_own_reading, read_state

    here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    loading: dict[str, Any] = {"dtype": "float32", "ignore_mismatched_sizes": True, "output_loading_info": True}
    if not needs_own_reading(checkpoint.weights):
        auto: Mapping[Task, Any] = {
            "voice": transformers.AutoModelForAudioClassification,
            "face": transformers.AutoModelForImageClassification,
        }
        model, report = auto[task].from_pretrained(checkpoint.folder, **here, **loading, **changes)
        return model, report
    state: State = {}
    for path in _complete(checkpoint.weights):
        state |= read_state(path)
    config = transformers.AutoConfig.from_pretrained(checkpoint.folder, **here, **changes)
    classes: Mapping[Task, Any] = {
        "voice": transformers.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING,
        "face": transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    }
    of_config = classes[task][type(config)]
    model, report = of_config.from_pretrained(None, config=config, state_dict=state, **here, **loading)
    return model, report


def _complete(weights: Sequence[Path]) -> Sequence[Path]:
    """The file that holds everything, or else the parts, without variants (`pytorch_model.fp16.bin`) beside it."""
    return [path for path in weights if path.stem in ("model", "pytorch_model")] or weights


def refuse_mismatch(
    name: str, *, missing: Sequence[str], unexpected: Sequence[str], misshapen: Sequence[str] = ()
) -> None:
    """Raises `CheckpointMismatch` with the keys that do not fit, if there are any that a classifier uses."""
    found = {
        "missing": [key for key in missing if not UNUSED.search(key)],
        "unexpected": [key for key in unexpected if not _LEFT_OVER.search(key)],
        "of another shape": misshapen,
    }
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

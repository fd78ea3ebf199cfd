"""The classifier of a checkpoint, with its weights. No code in a checkpoint is ever run."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from models.checkpoint import Checkpoint
from models.errors import CheckpointMismatch, UnsupportedModel
from models.info import Task
from models.manifest_names import EXPORT

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MASKS = r"(^|\.)(masked_spec_embed|mask_token)$"
UNUSED = re.compile(_MASKS)
"""Weights of a classifier that are used in training only, so that a file may lack them."""
_LEFT_OVER = re.compile(_MASKS + r"|position_ids|(^|\.)(quantizer|project_q|project_hid)\.")
"""Weights from pre-training that no classifier uses."""
_WAY = (
    "Ways: get the files again; fine-tune a body that has no head yet (`python -m lab.finetune`); export what another "
    "program trained to ONNX (docs/models.md)"
)
_ADAPTER_WAY = "Way: an adapter brings the head that its base lacks (peft's modules_to_save), so train it with one"


def load_classifier(checkpoint: Checkpoint, task: Task) -> "PreTrainedModel":
    """The classifier with its weights, on the CPU in fp32, in evaluation mode.

    Raises:
        UnsupportedModel: transformers has no classifier of this kind.
        CheckpointMismatch: the weights do not fill it exactly.
    """
    model, keys = load_unchecked(checkpoint, task)
    refuse_mismatch(
        checkpoint.name,
        missing=keys.missing,
        unexpected=keys.unexpected,
        misshapen=keys.misshapen,
        way=_ADAPTER_WAY if checkpoint.adapter else _WAY,
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

    from models.weights import require_real

    disable_progress_bar()  # type: ignore[no-untyped-call]
    name = checkpoint.name
    for path in checkpoint.weights:
        if path.suffix == ".safetensors":
            require_real(path)
    try:
        model, report = _from_transformers(checkpoint, task, {**_classes(checkpoint), **config})
        brought: set[str] = set()
        if checkpoint.adapter is not None:
            from models.merging import merge

            brought = merge(model, checkpoint.adapter)
        return model, KeyReport(
            missing=[key for key in report["missing_keys"] if key not in brought],
            unexpected=list(report["unexpected_keys"]),
            misshapen=[str(entry[0]) for entry in report["mismatched_keys"] if entry[0] not in brought],
        )
    except SafetensorError as error:
        raise CheckpointMismatch(f"the weights of {name} cannot be read: {error}; get them again") from error
    except ImportError as error:
        raise UnsupportedModel(
            f"{name} is a timm model, and timm, which is needed for it, is not installed here or is too old: "
            f"`pip install timm`, or export the model to ONNX ({str(error).strip().splitlines()[0]})"
        ) from error
    except (ValueError, KeyError, OSError) as error:
        raise UnsupportedModel(
            f"transformers cannot load {name} as a {task} classifier: {error}. Way: {EXPORT}"
        ) from error


def _classes(checkpoint: Checkpoint) -> dict[str, Any]:
    """Entries of `config.json` that an adapter changes."""
    if checkpoint.adapter is None:
        return {}
    labels = checkpoint.id2label
    return {"id2label": labels, "label2id": {label: index for index, label in labels.items()}}


def _from_transformers(
    checkpoint: Checkpoint, task: Task, changes: Mapping[str, Any]
) -> tuple["PreTrainedModel", Mapping[str, Any]]:
    """The model, and what transformers says of its keys."""
    import transformers

    from models.weights import State, needs_own_reading, read_state

    if (own := _own_architecture(task, checkpoint.config.get("architectures"))) is not None:
        return _load_own(own, checkpoint, changes)
    adapter = checkpoint.adapter
    described = adapter.folder if adapter and (adapter.folder / "config.json").is_file() else checkpoint.folder
    here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    loading: dict[str, Any] = {"dtype": "float32", "ignore_mismatched_sizes": True, "output_loading_info": True}
    if not needs_own_reading(checkpoint.weights):
        auto: Mapping[Task, Any] = {
            "voice": transformers.AutoModelForAudioClassification,
            "face": transformers.AutoModelForImageClassification,
        }
        if described != checkpoint.folder:
            changes = {"config": transformers.AutoConfig.from_pretrained(described, **here, **changes)}
        model, report = auto[task].from_pretrained(checkpoint.folder, **here, **loading, **changes)
        return model, report
    state: State = {}
    for path in checkpoint.weights:
        state |= read_state(path)
    config = transformers.AutoConfig.from_pretrained(described, **here, **changes)
    classes: Mapping[Task, Any] = {
        "voice": transformers.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING,
        "face": transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    }
    of_config = classes[task][type(config)]
    model, report = of_config.from_pretrained(None, config=config, state_dict=state, **here, **loading)
    return model, report


def _own_architecture(task: Task, named: Any) -> Any:
    """The class under `architectures` of `config.json` where it is not transformers' own, or None."""
    if (task, named) == ("voice", ["WavLMForStatistics"]):
        from models.statistics_wavlm import WavLMForStatistics

        return WavLMForStatistics
    if (task, named) == ("face", ["Dinov2WithConvolutions"]):
        from models.convolutional_dinov2 import Dinov2WithConvolutions

        return Dinov2WithConvolutions
    return None


def _load_own(
    own: Any, checkpoint: Checkpoint, changes: Mapping[str, Any]
) -> tuple["PreTrainedModel", Mapping[str, Any]]:
    """A model of that class, from a folder in transformers' format."""
    loading: dict[str, Any] = {"dtype": "float32", "ignore_mismatched_sizes": True, "output_loading_info": True}
    try:
        model, report = own.from_pretrained(checkpoint.folder, local_files_only=True, **loading, **changes)
    except (AttributeError, TypeError) as error:
        raise UnsupportedModel(
            f"config.json of {checkpoint.name} lacks what {own.__name__} needs, or says something else: {error}; "
            "copy the one that it was saved with"
        ) from error
    return model, report


def refuse_mismatch(
    name: str,
    *,
    missing: Sequence[str],
    unexpected: Sequence[str],
    misshapen: Sequence[str] = (),
    way: str = _WAY,
) -> None:
    """Raises `CheckpointMismatch` with the keys that do not fit, if there are any that a classifier uses, and a way."""
    found = {
        "missing": [key for key in missing if not UNUSED.search(key)],
        "unexpected": [key for key in unexpected if not _LEFT_OVER.search(key)],
        "of another shape": misshapen,
    }
    parts = [f"{len(keys)} {what}: {_some(keys)}" for what, keys in found.items() if keys]
    if parts:
        raise CheckpointMismatch(f"the weights of {name} do not fit its architecture; keys {'; '.join(parts)}. {way}")


def _some(keys: Sequence[str], most: int = 10) -> str:
    shown = sorted(keys)[:most]
    return ", ".join(shown) + (f" and {len(keys) - most} more" if len(keys) > most else "")

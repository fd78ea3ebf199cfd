"""The checkpoint that a fine-tuning begins with: its description, its classes, and its preparation of input."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from models.adapters import MERGE
from models.catalog import ModelFiles, find_model
from models.checkpoint import Checkpoint, fingerprint, read_checkpoint
from models.classifier import UNUSED, load_unchecked, refuse_mismatch
from models.errors import AmbiguousLabels, UnsupportedModel
from models.graph import PrepareImage, PrepareVoice
from models.info import ImageGeometry, Task
from models.labels import SpoofRule, spoof_rule
from models.options import LoadOptions
from models.preprocessing import image_preparation, voice_preparation

logger = logging.getLogger(__name__)

_NEW_CLASSES: Mapping[Task, tuple[str, str]] = {"voice": ("bonafide", "spoof"), "face": ("live", "spoof")}


@dataclass(frozen=True)
class Base:
    """A checkpoint that can be fine-tuned.

    Attributes:
        task: voices or faces.
        files: its location.
        checkpoint: its description.
        labels: classes of the result by index: the checkpoint's own two, if their names alone say what `spoof` does.
        spoof: index of the class that means spoof.
        keeps_classes: whether the classes are the checkpoint's own, so that its head can be trained further.
        prepare: converts raw windows or photos to model input, as the service does.
        geometry: preparation of a photo before that (face only).
    """

    task: Task
    files: ModelFiles
    checkpoint: Checkpoint
    labels: tuple[str, ...]
    spoof: int
    keeps_classes: bool
    prepare: nn.Module
    geometry: ImageGeometry | None

    @property
    def version(self) -> str:
        """12 hex digits over weights, configuration, preprocessing and classes."""
        facts = {"config": self.checkpoint.config, "processor": self.checkpoint.processor}
        return fingerprint(self.checkpoint.weights, facts, SpoofRule(self.spoof))

    def classifier(self) -> PreTrainedModel:
        """The model to train, on the CPU in fp32; its head is random if the checkpoint has no matching one.

        Raises:
            ModelError: the checkpoint's weights cannot be loaded.
        """
        model, has_head = _load_for_training(self.checkpoint, self.task, self.labels)
        if not self.keeps_classes:
            _forget_head(model)
        logger.info(
            "%s: %s, classes %s", self.files.name, "its own head" if has_head and self.keeps_classes else "a new head",
            ", ".join(f"{index} {label}" for index, label in enumerate(self.labels)),
        )  # fmt: skip
        return model


def open_base(reference: str, task: Task, options: LoadOptions) -> Base:
    """Finds a checkpoint, and if need be downloads it.

    Args:
        reference: `bundled`, a folder, a hub id, or `bento:<tag>`.
        task: voices or faces.
        options: folders, whether the hub may be accessed, and the spoof class if the names do not decide it.

    Raises:
        ModelError: there is none, or nothing of its kind can be served.
    """
    files = find_model(reference, task, options.models_dir, offline=options.offline)
    if files.is_pth:
        raise UnsupportedModel(f"{reference!r} is a .pth file, which can be served but not fine-tuned; give a folder")
    if files.is_converted:
        raise UnsupportedModel(f"{reference!r} is a converted model, which cannot be fine-tuned; give its checkpoint")
    if files.is_ensemble:
        raise UnsupportedModel(f"{reference!r} is an ensemble: fine-tune its members, and calibrate it then")
    if files.is_onnx:
        raise UnsupportedModel(
            f"{reference!r} is an ONNX model, which can be served and calibrated, but not fine-tuned"
        )
    if files.base is not None:
        raise UnsupportedModel(
            f"{reference!r} is a LoRA adapter, which can be served and calibrated, but not fine-tuned: {MERGE}"
        )
    checkpoint = read_checkpoint(files.path)
    prepare, geometry = _preparation(checkpoint, task)
    labels, spoof, own = _classes(checkpoint, task, options.spoof_label)
    return Base(task, files, checkpoint, labels, spoof, own, prepare, geometry)


def _preparation(checkpoint: Checkpoint, task: Task) -> tuple[nn.Module, ImageGeometry | None]:
    if task == "voice":
        voices = voice_preparation(checkpoint.processor, checkpoint.config)
        if voices.features is not None:
            raise UnsupportedModel(
                f"{checkpoint.folder.name} is a {checkpoint.model_type} model, which can be served and calibrated, but "
                "is not fine-tuned here: train it with transformers' Trainer, and give the folder that it writes"
            )
        return PrepareVoice(voices.normalize), None
    wanted = image_preparation(checkpoint.processor)
    return PrepareImage(*wanted.arithmetic, bgr=wanted.bgr), wanted.geometry


def _classes(checkpoint: Checkpoint, task: Task, spoof_label: str | None) -> tuple[tuple[str, ...], int, bool]:
    """Names by index, which one is spoof, and whether the classes are the checkpoint's own."""
    labels = checkpoint.id2label
    if len(labels) != 2:
        return _NEW_CLASSES[task], 1, False
    told = _told_by(labels)
    if not spoof_label:
        return (_NEW_CLASSES[task], 1, False) if told is None else (_names(labels), told, True)
    spoof = spoof_rule(labels, spoof_label, setting="--spoof-label").index
    # The label is an option of this training: whoever serves the result has its names alone.
    return _names(labels) if told == spoof else _usual_names(task, spoof), spoof, True


def _told_by(labels: Mapping[int, str]) -> int | None:
    """Which of two classes is spoof by their names alone; None: they do not tell."""
    try:
        return spoof_rule(labels).index
    except AmbiguousLabels:
        return None


def _names(labels: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(labels[index] for index in range(len(labels)))


def _usual_names(task: Task, spoof: int) -> tuple[str, ...]:
    names = _NEW_CLASSES[task]
    return names if spoof == 1 else names[::-1]


def _load_for_training(checkpoint: Checkpoint, task: Task, labels: Sequence[str]) -> tuple[PreTrainedModel, bool]:
    """A classifier of these classes, on the CPU in fp32; only its head may be missing in the checkpoint.

    Returns:
        The model, and whether its head is the checkpoint's rather than a random one.

    Raises:
        UnsupportedModel: transformers has no classifier of this kind.
        CheckpointMismatch: the weights do not fill what is below the head.
    """
    id2label = dict(enumerate(labels))
    label2id = {label: index for index, label in id2label.items()}
    one_label = "single_label_classification"  # as the loss of the training takes it
    model, keys = load_unchecked(checkpoint, task, id2label=id2label, label2id=label2id, problem_type=one_label)
    body = f"{model.base_model_prefix}."
    absent = [key for key in keys.missing if not UNUSED.search(key)]
    refuse_mismatch(
        checkpoint.folder.name,
        missing=[key for key in absent if key.startswith(body)],
        unexpected=[],
        misshapen=[key for key in keys.misshapen if key.startswith(body)],
    )
    return model, not absent and not keys.misshapen


def _forget_head(model: PreTrainedModel) -> None:
    """Reinitialises everything but the body: a head for other classes is not usable for these."""
    for name, part in model.named_children():
        if name != model.base_model_prefix:
            part.apply(_reset)


def _reset(module: Any) -> None:
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()

"""A checkpoint folder in transformers format: what its files say, and its fingerprint. No code in it is ever run."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.adapters import Adapter, read_adapter
from models.errors import AmbiguousLabels, CheckpointMismatch, UnsupportedModel
from models.json_files import json_object
from models.labels import SpoofRule
from models.processor_defaults import default_processor
from models.weight_files import SAFE, weight_files

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 20
_MOST_CLASSES = 10_000
_INDEX = re.compile(r"[0-9]{1,9}")
_PARTS = ("feature_extractor", "audio_processor", "image_processor")
"""Of `processor_config.json`."""
_NAMES = frozenset({"feature_extractor_type", "image_processor_type", "processor_class", "auto_map"})
"""Of classes of transformers: releases name the same one otherwise."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder's description, read without its weights.

    Attributes:
        folder: the folder itself.
        config: its `config.json`.
        processor: its preprocessor's settings.
        weights: the files that its weights are loaded from, sorted by name.
        assumed_processor: whether it holds no processor's settings, so that they are its family's usual ones.
        adapter: that is merged into its weights; None: they are served as they are.
        overruled: names of settings that `preprocessor_config.json` states and `processor_config.json`, which counts
            where it states any, does not state alike.
    """

    folder: Path
    config: Mapping[str, Any]
    processor: Mapping[str, Any]
    weights: tuple[Path, ...]
    assumed_processor: bool = False
    adapter: Adapter | None = None
    overruled: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For messages: its folder's, or its adapter's."""
        return (self.adapter or self).folder.name

    @property
    def files(self) -> tuple[Path, ...]:
        """All that its scores come from, the adapter's too."""
        return (*self.weights, *([self.adapter.weights] if self.adapter else []))

    @property
    def facts(self) -> dict[str, Any]:
        """What decides a score besides its files, as JSON types."""
        facts: dict[str, Any] = {"config": self.config, "processor": self.processor}
        return facts | ({"adapter": self.adapter.facts} if self.adapter else {})

    @property
    def architecture(self) -> str:
        """Class that the weights fill."""
        if self.adapter:
            return f"{self.model_type} with a LoRA adapter"
        named = self.config.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else self.model_type

    @property
    def model_type(self) -> str:
        """Family of the architecture, such as `wavlm`."""
        return str(self.config.get("model_type") or ("timm_wrapper" if "pretrained_cfg" in self.config else ""))

    @property
    def id2label(self) -> dict[int, str]:
        """Class names by index, `LABEL_0` and so on when the checkpoint gives none.

        Raises:
            AmbiguousLabels: `label2id` gives another order than `id2label`, or their number is another one than is
                stated, by which transformers would build the head, or none that can be.
        """
        given = self.config.get("id2label") or _timm_names(self.config)
        if not given and "pretrained_cfg" in self.config:
            raise AmbiguousLabels(
                "config.json of this timm model has no label_names; add them, in the order of its outputs"
            )
        if not given:
            count = self.config.get("num_labels", 2)
            if not isinstance(count, int) or not 0 < count <= _MOST_CLASSES:
                raise AmbiguousLabels(f"the checkpoint has {count!r} classes without names: correct its config.json")
            return {index: f"LABEL_{index}" for index in range(count)}
        labels = _numbered(given)
        stated = "num_classes" if "pretrained_cfg" in self.config else "num_labels"
        if self.config.get(stated) not in (None, len(labels)):
            raise AmbiguousLabels(
                f"{stated} of the checkpoint is {self.config[stated]!r:.20}, and it names {len(labels)} classes, "
                f"{list(labels.values())!r:.200}; correct its config.json"
            )
        self._check_reverse(labels)
        return labels

    def _check_reverse(self, labels: Mapping[int, str]) -> None:
        """Raises `AmbiguousLabels` unless `label2id` says of these names, in any case, what they say of themselves."""
        reverse = self.config.get("label2id") or {}
        if not isinstance(reverse, Mapping) or not all(map(_is_index, reverse.values())):
            raise AmbiguousLabels(
                f"label2id {reverse!r:.200} of the checkpoint gives no number for each name; correct its config.json"
            )
        names = {index: _plain(label) for index, label in labels.items()}
        for label, index in reverse.items():
            if names.get(int(index)) != _plain(label) and _plain(label) in names.values():
                raise AmbiguousLabels(
                    f"id2label {dict(labels)} and label2id {reverse} of the checkpoint contradict "
                    "each other; correct its config.json"
                )


def read_checkpoint(folder: Path, base: Path | None = None) -> Checkpoint:
    """Reads the description of a checkpoint; of its weights, checks only that they exist.

    Args:
        folder: the checkpoint's, or an adapter's.
        base: of an adapter, the folder of the checkpoint that it changes.

    Raises:
        UnsupportedModel: a file is missing or broken.
        CheckpointMismatch: an adapter's weights cannot be read.
    """
    if base is not None:
        return _adapted(folder, read_checkpoint(base))
    assumed = False
    config = _config(folder)
    stated, overruled = _processor(folder)
    if stated is not None:
        processor = stated
    elif usual := default_processor(config):
        processor, assumed = usual, "pretrained_cfg" not in config
    else:
        raise UnsupportedModel(
            f"{folder.name} holds no preprocessor_config.json, so its preparation of input is unknown; copy that of "
            "the checkpoint that it was fine-tuned from into the folder"
        )
    weights = weight_files(folder)
    if assumed:
        logger.warning(
            "a checkpoint without preprocessor_config.json: its input is prepared as is usual in its family",
            extra={"model": folder.name, "processor": processor},
        )
    return Checkpoint(folder, config, processor, weights, assumed_processor=assumed, overruled=overruled)


def _timm_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Class names of a timm model, as `id2label` has them."""
    names = config.get("label_names") or []
    if not isinstance(names, list):
        raise AmbiguousLabels(f"label_names {names!r:.200} of the checkpoint is no list; correct its config.json")
    return {str(index): name for index, name in enumerate(names)}


def _numbered(given: Any) -> dict[int, str]:
    """`id2label` by whole numbers.

    Raises:
        AmbiguousLabels: it is none, or gives a number twice, as "0" and "00" would.
    """
    if not isinstance(given, Mapping) or not all(map(_is_index, given)):
        raise AmbiguousLabels(
            f"id2label {given!r:.200} of the checkpoint gives no name for each number; correct its config.json"
        )
    labels = {int(index): str(label) for index, label in given.items()}
    if len(labels) < len(given):
        raise AmbiguousLabels(f"id2label {given!r:.200} of the checkpoint names a class twice; correct its config.json")
    return labels


def _is_index(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and _INDEX.fullmatch(value) is not None)


def _plain(label: Any) -> str:
    return str(label).strip().casefold()


def _processor(folder: Path) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The processor's settings in a folder, if it holds any, and what of its older file they overrule.

    As in transformers, `processor_config.json` counts before `preprocessor_config.json` where it has them.
    """
    plain, newer = (
        json_object(folder / name) if (folder / name).is_file() else None
        for name in ("preprocessor_config.json", "processor_config.json")
    )
    found = next((newer[part] for part in _PARTS if newer.get(part)), None) if newer else None
    if found is None:
        return (newer if plain is None else plain), ()
    if not isinstance(found, dict):
        raise UnsupportedModel(f"processor_config.json of {folder.name} holds no settings of a processor; get it again")
    others = {name: value for name, value in (plain or {}).items() if name not in _NAMES}
    overruled = tuple(sorted(name for name, value in others.items() if found.get(name) != value))
    if overruled:
        logger.warning(
            "settings of preprocessor_config.json do not count: processor_config.json states others",
            extra={"model": folder.name, "settings": overruled},
        )
    return found, overruled


def _adapted(folder: Path, base: Checkpoint) -> Checkpoint:
    """The base with an adapter; what the adapter's folder says of classes and input comes first."""
    adapter = read_adapter(folder)
    config = dict(base.config)
    if (folder / "config.json").is_file():
        config = _config(folder)
        if config.get("model_type") != base.model_type:
            raise CheckpointMismatch(
                f"config.json of the adapter {folder.name} is of a {config.get('model_type')} model, and its base is a "
                f"{base.model_type}: correct base_model_name_or_path in its adapter_config.json"
            )
    elif adapter.own_head:
        # Nothing says that its classes are in the order of the base's.
        classes = adapter.classes or len(base.id2label)
        config = {name: value for name, value in config.items() if name not in ("id2label", "label2id")}
        config["num_labels"] = classes
    processor, overruled = _processor(folder)
    return replace(
        base,
        config=config,
        processor=base.processor if processor is None else processor,
        assumed_processor=base.assumed_processor and processor is None,
        adapter=adapter,
        overruled=base.overruled if processor is None else overruled,
    )


def classes_are_independent(checkpoint: Checkpoint) -> bool:
    """Whether each class has a probability of its own, by `problem_type` in `config.json` (as in transformers).

    Raises:
        UnsupportedModel: its outputs are no probabilities of classes.
    """
    kind = checkpoint.config.get("problem_type") or "single_label_classification"
    if kind not in ("single_label_classification", "multi_label_classification"):
        raise UnsupportedModel(
            f"problem_type is {kind!r}; a detector classifies, with one label or several. Ways: correct it in "
            "config.json if the outputs are logits of classes, or export the model to ONNX, where a manifest says what "
            "its output means (docs/models.md)"
        )
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


def _config(folder: Path) -> dict[str, Any]:
    config = json_object(folder / "config.json")
    if (named := config.get("transformers_weights")) is not None:
        raise UnsupportedModel(
            f"config.json of {folder.name} names its weights under transformers_weights, {named!r}: give that file "
            f"the name {SAFE}, and remove the entry"
        )
    if (quantized := config.get("quantization_config")) is not None:
        raise UnsupportedModel(
            f"config.json of {folder.name} has a quantization_config, {quantized!r:.100}, and quantized weights are "
            "not served: save the model in fp32, fp16 or bf16, without it"
        )
    return config

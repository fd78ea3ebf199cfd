"""A LoRA adapter in peft's format: what its `adapter_config.json` says, and the shapes of its tensors, without torch.

Published as a folder with `adapter_config.json`, which names the checkpoint that it changes, and its safetensors.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import CheckpointMismatch, UnsupportedModel
from models.json_files import named_once

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
MERGE = (
    "merge it where it was trained (`PeftModel.from_pretrained(...).merge_and_unload().save_pretrained(FOLDER)`), and "
    "give that FOLDER with the processor's file"
)
_AGAIN = "save the adapter again, with peft"
_LONGEST_NAME = 255
_MAX_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 24
_PREFIX = "base_model.model."
"""Before all keys: peft's own wrappers."""
_WRAPPERS = re.compile(r"\.(modules_to_save|base_layer)(?=\.)")
_UNUSED = ".original_module."
"""In keys of the base's own head, which biases are saved of beside those of the head in its place."""
_LORA = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_INITIAL = (None, True, False, "gaussian", "eva", "orthogonal")
"""Of `init_lora_weights`, what leaves the base as it is published; the others change it."""
_READ = frozenset(
    {
        *("alpha_pattern", "base_model_name_or_path", "fan_in_fan_out", "init_lora_weights", "lora_alpha", "peft_type"),
        *("r", "rank_pattern", "revision", "use_rslora"),
    }
)
_HARMLESS = frozenset(
    {
        *("auto_mapping", "bias", "ensure_weight_tying", "eva_config", "exclude_modules", "inference_mode"),
        *("layers_pattern", "layers_to_transform", "lora_dropout", "megatron_core", "modules_to_save", "peft_version"),
        *("qalora_group_size", "runtime_config", "target_modules", "task_type"),
    }
)
"""What decides which tensors there are, or concerns training only. Anything else that is set would change scores."""


@dataclass(frozen=True)
class Adapter:
    """An adapter's description.

    Attributes:
        folder: the adapter's.
        base: reference of the checkpoint that it changes.
        scales: factor of each pair of matrices, by the module that it changes.
        pairs: keys of A and B in the file, by module.
        whole: keys of tensors that replace the base's, by the name of the parameter.
        transposed: whether weights of linear layers lie transposed.
        facts: of its configuration, what decides a score.
        classes: rows of the classifier that it brings; None: it brings none.
        own_head: whether it brings matrices of its own, so that the base's names of classes mean nothing.
    """

    folder: Path
    base: str
    scales: Mapping[str, float]
    pairs: Mapping[str, tuple[str, str]]
    whole: Mapping[str, str]
    transposed: bool
    facts: Mapping[str, Any]
    classes: int | None
    own_head: bool

    @property
    def weights(self) -> Path:
        """Its only weight file."""
        return self.folder / WEIGHTS


def is_adapter(folder: Path) -> bool:
    """Whether this is an adapter's folder."""
    return (folder / CONFIG).is_file()


def read_adapter(folder: Path) -> Adapter:
    """Reads the description of an adapter, and of its tensors the shapes.

    Raises:
        UnsupportedModel: it is none that can be merged here; the message says what to do.
        CheckpointMismatch: its tensors are not those that its configuration speaks of.
    """
    config = _config(folder)
    shapes = _shapes(folder)
    pairs: dict[str, dict[str, str]] = {}
    whole: dict[str, str] = {}
    for key in sorted(shapes, key=len, reverse=True):  # a head's bias may be there under two keys: the plain one last
        if _UNUSED in key:
            continue
        name = _WRAPPERS.sub("", key.removeprefix(_PREFIX))
        if match := _LORA.fullmatch(name):
            pairs.setdefault(match["module"], {})[match["side"]] = key
        elif "lora_" in name:
            raise UnsupportedModel(f"{folder.name} holds {key}, which is not merged here; {MERGE}")
        else:
            whole[name] = key
    half = [module for module, sides in pairs.items() if len(sides) != 2]
    if half or not pairs:
        raise CheckpointMismatch(
            f"{WEIGHTS} of {folder.name} lacks lora_A or lora_B of {', '.join(half[:5]) or 'all'}; {_AGAIN}"
        )
    heads = [
        shapes[key][0]
        for name, key in sorted(whole.items())
        if name.startswith("classifier.") and len(shapes[key]) == 2
    ]
    return Adapter(
        folder=folder,
        base=_base(config, folder),
        scales={module: _scale(config, module, shapes[sides["A"]][0]) for module, sides in pairs.items()},
        pairs={module: (sides["A"], sides["B"]) for module, sides in pairs.items()},
        whole=whole,
        transposed=bool(config.get("fan_in_fan_out")),
        facts={name: config.get(name) for name in sorted(_READ - {"base_model_name_or_path", "revision"})},
        classes=heads[-1] if heads else None,
        own_head=any(len(shapes[key]) > 1 for key in whole.values()),
    )


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        with path.open("rb") as stream:
            config = json.loads(stream.read(_MAX_BYTES), object_pairs_hook=named_once)
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(f"{CONFIG} of {folder.name} cannot be read: {error}; {_AGAIN}") from error
    if not isinstance(config, dict):
        raise UnsupportedModel(f"{CONFIG} of {folder.name} holds no JSON object; {_AGAIN}")
    kind = str(config.get("peft_type", ""))
    if kind.upper() != "LORA":
        raise UnsupportedModel(f"{folder.name} is an adapter of peft's kind {kind!r}, and only LORA is merged; {MERGE}")
    if config.get("use_dora"):
        raise UnsupportedModel(f"{folder.name} is a DoRA adapter, which is not merged here; {MERGE}")
    if config.get("init_lora_weights", True) not in _INITIAL:
        raise UnsupportedModel(
            f"{folder.name} was begun by init_lora_weights={config['init_lora_weights']!r}, which changes its base; "
            f"{MERGE}"
        )
    if others := [name for name in sorted(set(config) - _READ - _HARMLESS) if config[name]]:
        raise UnsupportedModel(f"{folder.name} sets {', '.join(others)}, which is not merged here; {MERGE}")
    return config


def _base(config: Mapping[str, Any], folder: Path) -> str:
    """The reference; a path is meant from the adapter's folder first."""
    named, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(named, str) or not 0 < len(named) <= _LONGEST_NAME:
        raise UnsupportedModel(
            f"{CONFIG} of {folder.name} names no base_model_name_or_path: write the folder or hub id that the adapter "
            "was trained on there"
        )
    if (folder / named).is_dir():
        return str(folder / named)
    return f"{named}@{revision}" if isinstance(revision, str) and revision and not Path(named).is_dir() else named


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    """The factor of B times A.

    Raises:
        CheckpointMismatch: the tensors have another rank than the configuration says.
    """
    said = _patterned(config.get("rank_pattern"), module, config.get("r"))
    alpha = _patterned(config.get("alpha_pattern"), module, config.get("lora_alpha"))
    if said != rank:
        raise CheckpointMismatch(f"{CONFIG} says that {module} has rank {said!r}, and its tensors have {rank}; {MERGE}")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise UnsupportedModel(f"{CONFIG} says that lora_alpha is {alpha!r}; it must be a number")
    return float(alpha) / float(rank**0.5 if config.get("use_rslora") else rank)


def _patterned(patterns: Any, module: str, usual: Any) -> Any:
    """The value for a module: that of the first pattern which its name ends with, or else the usual one.

    Raises:
        UnsupportedModel: a pattern is more than the end of a name, which peft takes for a regular expression.
    """
    if patterns and not isinstance(patterns, Mapping):
        raise UnsupportedModel(f"{CONFIG} has {patterns!r} where patterns should be; {_AGAIN}")
    for pattern, value in (patterns or {}).items():
        name = str(pattern).removeprefix("^")
        if not re.fullmatch(r"[\w.]+", name):
            raise UnsupportedModel(f"{CONFIG} has the pattern {pattern!r}, which is not understood here; {MERGE}")
        if module == name or (name == pattern and module.endswith(f".{name}")):
            return value
    return usual


def _shapes(folder: Path) -> dict[str, list[int]]:
    """Shapes by key, from the header of the file alone: 8 bytes of its length, then JSON."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise UnsupportedModel(
            f"{folder.name} holds {CONFIG} and no {WEIGHTS}: save the adapter as safetensors, as peft does by default"
        )
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > _MAX_HEADER_BYTES:
                raise ValueError("its header is too long")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        shapes = {str(key): [int(size) for size in entry["shape"]] for key, entry in header.items()}
    except (OSError, ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
        raise CheckpointMismatch(f"{WEIGHTS} of {folder.name} cannot be read: {error}; {_AGAIN}") from error
    if flat := [key for key, shape in shapes.items() if _LORA.fullmatch(key) and (len(shape) < 2 or 0 in shape)]:
        raise CheckpointMismatch(f"{WEIGHTS} of {folder.name} holds {flat[0]}, which is no matrix; {_AGAIN}")
    return shapes

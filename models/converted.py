"""A folder that holds a converted model: what `models.convert` writes, read without torch and transformers.

converted.json                what the model is, which class means spoof, what its input must be
model.xml, model.bin          OpenVINO's graph, from int16, uint8 or features to P(spoof), kept in fp32
calibration.json, README.md   as beside the checkpoint, if it has them
speech/                       beside a voice model: the speech detector, in the same form
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import TypeAdapter, ValidationError

from models.errors import CheckpointMismatch, UnsupportedModel
from models.features.reading import Features
from models.info import ImageGeometry, Task
from models.json_files import named_once
from models.labels import SpoofRule, spoof_rule

if TYPE_CHECKING:
    from models.graph import SpoofGraph

DESCRIPTION = "converted.json"
GRAPH = "model.xml"
WEIGHTS = "model.bin"
SPEECH = "speech"
"""Folder of the speech detector in the folder of a voice model."""
_FORMAT = 1
_MAX_BYTES = 1 << 20
_AGAIN = "convert the checkpoint again with `python -m models.convert`"


@dataclass(frozen=True)
class VoiceInput:
    """What a voice model does with windows before its graph.

    Attributes:
        min_samples: shortest window that gives a frame.
        repeat_short: whether a window that is shorter than a full one is repeated until it is as long.
        features: what the graph takes in place of int16 samples, if it does.
    """

    min_samples: int
    repeat_short: bool
    features: Features | None = None


@dataclass(frozen=True)
class Converted:
    """The content of `converted.json`.

    Attributes:
        task: what it judges; `speech` is the detector beside a voice model.
        name: the checkpoint's, for display.
        version: the checkpoint's, without its calibration.
        toolchain: changes with whatever turned the checkpoint into this model.
        files: SHA-256 of the graph's files, by name.
        demo: whether it is one of the small bundled models.
        architecture: class that the weights fill.
        labels: the checkpoint's own class names by index.
        rule: which class means spoof; the graph computes its probability.
        parameters: numbers in its weights.
        voice: of a voice model.
        geometry: preparation of a photo, of a face model.
        format: of this file.
    """

    task: Literal["voice", "face", "speech"]
    name: str
    version: str
    toolchain: str
    files: Mapping[str, str]
    demo: bool = False
    architecture: str = ""
    labels: tuple[str, ...] = ()
    rule: SpoofRule = field(default_factory=lambda: SpoofRule(0))
    parameters: int = 0
    voice: VoiceInput | None = None
    geometry: ImageGeometry | None = None
    format: int = _FORMAT


_READ = TypeAdapter(Converted)


def is_converted(path: Path) -> bool:
    """Whether this is the folder of a converted model."""
    return (path / DESCRIPTION).is_file()


def read_converted(folder: Path) -> Converted:
    """What the folder says of itself.

    Raises:
        UnsupportedModel: it cannot be read, or another release wrote it.
    """
    path = folder / DESCRIPTION
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES)
        # Looked at first, because another format may lack what is required here.
        found = json.loads(content, object_pairs_hook=named_once)
        written = found.get("format") if isinstance(found, dict) else None
        if written != _FORMAT:
            raise UnsupportedModel(f"{path} has format {written!r}, and this release reads {_FORMAT}; {_AGAIN}")
        return _READ.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UnsupportedModel(f"{path} does not describe a model: {place}: {first['msg']}; {_AGAIN}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(f"{path} cannot be read: {error}; {_AGAIN}") from error


def open_converted(folder: Path, task: Literal["voice", "face", "speech"]) -> Converted:
    """What the folder says of itself, after a look at its graph: it is of this task, and whole.

    Raises:
        UnsupportedModel: it is a model of another task, or cannot be read.
        CheckpointMismatch: its graph is not the one that was written.
    """
    found = read_converted(folder)
    complete = {"voice": found.voice is not None, "face": found.geometry is not None, "speech": True}
    if found.task != task or not complete[task]:
        raise UnsupportedModel(f"{folder} holds a converted {found.task} model, and a {task} model is needed: give one")
    if task != "speech" and not 0 <= found.rule.index < max(1, len(found.labels)):
        raise UnsupportedModel(
            f"{folder / DESCRIPTION} names class {found.rule.index}, which it does not have; {_AGAIN}"
        )
    if hashes(folder) != dict(found.files):
        raise CheckpointMismatch(f"{GRAPH} and {WEIGHTS} in {folder} are not those that were converted; {_AGAIN}")
    return found


def write_converted(folder: Path, converted: Converted) -> None:
    """Writes the description beside the graph."""
    (folder / DESCRIPTION).write_text(json.dumps(asdict(converted), indent=2) + "\n", encoding="utf-8")


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the graph's files.

    Raises:
        CheckpointMismatch: one of them is missing or cannot be read.
    """
    found = {}
    for name in (GRAPH, WEIGHTS):
        try:
            with (folder / name).open("rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise CheckpointMismatch(f"{name} in {folder} cannot be read: {error.strerror}; {_AGAIN}") from error
    return found


class ConvertedSource:
    """What is known of a converted model, as of a checkpoint whose weights are not read yet.

    Args:
        folder: the model's.
        task: that it must be made for.
        spoof_label: by the settings; None: not set.
        setting: its name, for messages.

    Attributes:
        found: the folder's description.
        converted: the folder.
        rule: the one that the graph was made for.
        labels: the checkpoint's own class names by index.
        architecture: class that the weights fill.
        version: of the uncalibrated model.

    Raises:
        ModelError: the folder is of another task or not whole, or the setting names another class.
    """

    def __init__(self, folder: Path, task: Task, spoof_label: str | None, setting: str) -> None:
        self.found = open_converted(folder, task)
        self.converted: Path | None = folder
        self.rule = _kept_rule(self.found, spoof_label, setting)
        self.labels = self.found.labels
        self.architecture = self.found.architecture
        self.version = self.found.version

    def build(self) -> "SpoofGraph":
        """Never: the graph is converted.

        Raises:
            UnsupportedModel: always.
        """
        raise UnsupportedModel(f"{self.found.name} is converted, and holds no weights: give its checkpoint")

    def parameters(self) -> int:
        """How many numbers its weights are."""
        return self.found.parameters


def _kept_rule(converted: Converted, spoof_label: str | None, setting: str) -> SpoofRule:
    """Which class means spoof: the one that the graph was made for, which the setting may only confirm."""
    if spoof_label is None or not spoof_label.strip():
        return converted.rule
    if not converted.labels:
        raise UnsupportedModel(f"{setting} is set, but {converted.name} has a single logit that means spoof; unset it")
    wanted = spoof_rule(dict(enumerate(converted.labels)), spoof_label, setting=setting)
    if (wanted.index, wanted.inverted) != (converted.rule.index, converted.rule.inverted):
        raise UnsupportedModel(
            f"{setting}={spoof_label!r} is not the class that {converted.name} was converted for; "
            f"{_AGAIN} and --spoof-label, or unset it"
        )
    return converted.rule

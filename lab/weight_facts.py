"""What a model's files tell without computing anything: their weights, licence, and for ONNX models which is spoof."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.card import licence
from models.catalog import ModelFiles
from models.converted import WEIGHTS, read_converted
from models.manifest_file import read_manifest
from models.onnx_graph import fitting_graph
from models.onnx_model import spoof_in_words
from models.weights import parameter_count

_PICKLED = frozenset({".bin", ".pth"})


@dataclass(frozen=True)
class WeightFacts:
    """Facts of a model's files.

    Attributes:
        files: that hold the weights.
        parameters: numbers in them.
        licence: as the model card or the manifest states it; None: not stated.
        pickled: whether torch's restricted unpickler reads them.
        spoof: which class means spoof, as the manifest has it; None: there is none.
    """

    files: Sequence[Path]
    parameters: int
    licence: str | None
    pickled: bool = False
    spoof: str | None = None


def weight_facts(files: ModelFiles) -> WeightFacts:
    """The facts of a model's files.

    Raises:
        ModelError: they cannot be read.
    """
    path = files.path
    if files.is_onnx:
        manifest = read_manifest(path)
        graph = fitting_graph(path, manifest)
        return WeightFacts(graph.files, graph.parameters, manifest.licence, spoof=spoof_in_words(manifest))
    stated = licence(path.parent if path.is_file() else path)
    if files.is_converted:
        return WeightFacts([path / WEIGHTS], read_converted(path).parameters, stated)
    weights = [path] if path.is_file() else _weight_files(path)
    pickled = any(file.suffix in _PICKLED for file in weights)
    return WeightFacts(weights, sum(map(parameter_count, weights)), stated, pickled)


def _weight_files(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))

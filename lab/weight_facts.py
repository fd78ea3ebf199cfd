"""What a model's files tell without computing anything: their weights, licence, and for ONNX models which is spoof."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models import onnx_model
from models.card import licence
from models.catalog import ModelFiles
from models.checkpoint import read_checkpoint
from models.converted import WEIGHTS, read_converted
from models.ensemble_members import MemberFiles, find_members
from models.info import Task
from models.labels import SpoofRule, spoof_in_words, spoof_rule
from models.manifest_file import read_ensemble, read_manifest
from models.onnx_graph import fitting_graph
from models.options import LoadOptions
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
        spoof: which class means spoof, in words.
        unlicensed: members of an ensemble that state no licence.
    """

    files: Sequence[Path]
    parameters: int
    licence: str | None
    pickled: bool = False
    spoof: str = ""
    unlicensed: tuple[str, ...] = ()


def weight_facts(files: ModelFiles, task: Task, options: LoadOptions) -> WeightFacts:
    """The facts of a model's files; of an ensemble, those of all its members.

    Args:
        files: the model's.
        task: that it is asked for.
        options: where the members of an ensemble are found.

    Raises:
        ModelError: they cannot be read.
    """
    path = files.path
    if files.is_ensemble:
        return _of_members(find_members(path, read_ensemble(path), task, options), task)
    if files.is_onnx:
        manifest = read_manifest(path)
        graph = fitting_graph(path, manifest)
        return WeightFacts(graph.files, graph.parameters, manifest.licence, spoof=onnx_model.spoof_in_words(manifest))
    stated = licence(path.parent if path.is_file() else path)
    if files.is_converted:
        found = read_converted(path)
        return WeightFacts([path / WEIGHTS], found.parameters, stated, spoof=spoof_in_words(found.labels, found.rule))
    weights: Sequence[Path] = [path]
    if path.is_file():
        spoof = spoof_in_words((), SpoofRule(0))
    else:
        checkpoint = read_checkpoint(path, files.base)
        weights, labels = checkpoint.files, checkpoint.id2label
        rule = spoof_rule(labels, options.spoof_label, setting=f"BONAFIDE_{task.upper()}_SPOOF_LABEL")
        spoof = spoof_in_words([labels[index] for index in sorted(labels)], rule)
    pickled = any(file.suffix in _PICKLED for file in weights)
    return WeightFacts(weights, sum(map(parameter_count, weights)), stated, pickled, spoof)


def _of_members(members: Sequence[MemberFiles], task: Task) -> WeightFacts:
    facts = []
    for member in members:
        with member.named():
            facts.append(weight_facts(member.files, task, member.options))
    names = [member.stated.name or member.files.name for member in members]
    licences = {name: each.licence for name, each in zip(names, facts, strict=True)}
    if len(set(licences.values())) == 1:
        stated = facts[0].licence
    else:
        stated = ", ".join(f"{name}: {each or 'not stated'}" for name, each in licences.items())
    return WeightFacts(
        [file for each in facts for file in each.files],
        sum(each.parameters for each in facts),
        stated,
        any(each.pickled for each in facts),
        spoof="as its members say",
        unlicensed=tuple(name for name, each in licences.items() if each is None),
    )

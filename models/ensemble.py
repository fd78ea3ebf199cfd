"""Several models of a task as one: items in, their scores and the fusion of these out. `open_ensemble` makes one."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration, read_calibration
from models.catalog import ModelFiles
from models.detector import ItemScores, LoadedModel
from models.ensemble_fields import EnsembleManifest, Fusion
from models.ensemble_members import MemberFiles, find_members
from models.errors import BadManifest, UnsupportedModel
from models.face_model import FaceSpoofModel
from models.fusion import Floats, fused, fused_log_odds
from models.info import ImageGeometry, MemberInfo, Mixed, ModelInfo, Task
from models.manifest_file import read_ensemble
from models.manifest_names import MANIFEST
from models.options import LoadOptions
from models.voice_model import VoiceSpoofModel
from models.window_rule import end_of

T = TypeVar("T", bound=str)
Part = Callable[[Any], Any]
"""What a member is given of an item; an item that is none stays as it is, for the member to refuse."""


class Ensemble:
    """A loaded ensemble; see `models.detector.LoadedModel`.

    Args:
        info: its description.
        members: the models, each with its part of an item.
        fusion: how their scores become one.
        calibration: of the fused score; its weights, if it has any, count instead of the fusion's.

    Attributes:
        info: what it is and how it runs.
        fusion: as given.
    """

    def __init__(
        self,
        info: ModelInfo,
        members: Sequence[tuple[LoadedModel, Part]],
        fusion: Fusion,
        calibration: Calibration | None,
    ) -> None:
        self.info = info
        self._members = members
        self.fusion = fusion
        self._calibration = calibration

    def score(self, items: list[NDArray[Any]], /) -> Floats:
        """See `LoadedModel`. An item that one of the members cannot score has no score."""
        return self.judge(items).scores

    def judge(self, items: list[NDArray[Any]], /) -> ItemScores:
        """See `LoadedModel`."""
        columns = [member.score([part(item) for item in items]) for member, part in self._members]
        scores = np.stack(columns, axis=1) if items else np.zeros((0, len(columns)), np.float32)
        return ItemScores(self._fused(scores), scores)

    def _fused(self, members: Floats) -> Floats:
        calibration = self._calibration
        if calibration is None:
            return fused(members, self.fusion)
        if calibration.weights:
            return fused_log_odds(members, calibration.weights, calibration.offset)
        return calibration.apply(fused(members, self.fusion))


def open_ensemble(files: ModelFiles, task: Task, options: LoadOptions) -> Ensemble:
    """Reads the manifest, and loads all members.

    Args:
        files: of an ensemble.
        task: that it is asked for.
        options: how its members are loaded; `calibrated` is about its own calibration alone.

    Raises:
        ModelError: the manifest is wrong, or a member cannot be served; the message names it.
    """
    manifest = read_ensemble(files.path)
    if manifest.task != task:
        raise UnsupportedModel(
            f"{files.reference!r} is a {manifest.task} ensemble by its manifest, not for {task}s: give another"
        )
    if options.spoof_label:
        raise UnsupportedModel(
            f"BONAFIDE_{task.upper()}_SPOOF_LABEL is set, but {files.reference!r} is an ensemble, whose manifest may "
            "give each member a spoof_label; unset it"
        )
    found = find_members(files.path, manifest, task, options)
    members = [_loaded(each, task) for each in found]
    infos = [
        replace(member.info, name=each.stated.name or member.info.name)
        for member, each in zip(members, found, strict=True)
    ]
    names = [info.name for info in infos]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadManifest(f"{files.path / MANIFEST}: two members are called {twice!r}: give one of them a name")
    version = _version(manifest, infos)
    calibration = _calibration(files, manifest, version) if options.calibrated else None
    fusion = manifest.ensemble
    weights = calibration.weights if calibration and calibration.weights else fusion.weights
    first, *more = dict.fromkeys(info.geometry for info in infos)
    info = ModelInfo(
        task=task,
        name=f"{manifest.name}@{manifest.version}",
        version=calibration.version if calibration else version,
        architecture=f"{rule_in_words(fusion, calibration)} of {len(members)} models",
        reference=files.reference,
        local_path=str(files.path),
        demo=any(info.demo for info in infos),
        labels=(),
        spoof_index=None,
        engine=_one([info.engine for info in infos]),
        device=_one([info.device for info in infos]),
        precision=_one([info.precision for info in infos]),
        max_batch_size=min(info.max_batch_size for info in infos),
        geometry=first,
        more_geometries=tuple(each for each in more if each is not None),
        sample_rate=infos[0].sample_rate,
        window_samples=max((info.window_samples or 0 for info in infos), default=0) or None,
        min_samples=max(info.min_samples for info in infos),
        threshold=calibration.threshold if calibration else None,
        calibrated=calibration is not None,
        fitted_scores=calibration.scores if calibration else None,
        notice=" ".join(dict.fromkeys(info.notice for info in infos if info.notice)),
        prior_log_odds=calibration.prior_log_odds if calibration else None,
        uncertain=calibration.uncertain if calibration else None,
        members=tuple(
            MemberInfo(each.name, each.version, weight, each.engine, each.device, each.precision)
            for each, weight in zip(infos, weights, strict=True)
        ),
    )
    parts = [_window(each.window_samples or 0) if task == "voice" else _picture(info, each.geometry) for each in infos]
    return Ensemble(info, list(zip(members, parts, strict=True)), fusion, calibration)


def rule_in_words(fusion: Fusion, calibration: Calibration | None) -> str:
    """The rule that is applied, as text."""
    return "weighted log odds" if fusion.rule == "log_odds" or (calibration and calibration.weights) else "mean"


def _loaded(member: MemberFiles, task: Task) -> LoadedModel:
    with member.named():
        if task == "voice":
            return VoiceSpoofModel.open(member.files, member.options)
        return FaceSpoofModel.open(member.files, member.options)


def _version(manifest: EnsembleManifest, members: Sequence[ModelInfo]) -> str:
    """12 hex digits over the rule and everything that changes a member's score."""
    fusion = manifest.ensemble
    facts = [fusion.rule, fusion.weights, fusion.intercept, [member.version for member in members]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _calibration(files: ModelFiles, manifest: EnsembleManifest, version: str) -> Calibration | None:
    """Beside the manifest, or stated in it."""
    if found := read_calibration(files.path, version, len(manifest.ensemble.members)):
        return found
    if (stated := manifest.calibration) is None:
        return None
    return Calibration(stated.scale, stated.offset, stated.threshold, version, {"stated in": "the manifest"})


def _one(values: Sequence[T]) -> Any:
    mixed: Mixed = "mixed"
    return values[0] if len(set(values)) == 1 else mixed


def _window(samples: int) -> Part:
    """The end of a window, as long as the member takes."""
    return lambda window: end_of(window, samples)


def _picture(info: ModelInfo, geometry: ImageGeometry | None) -> Part:
    """The member's picture among those of an item, see `ModelInfo.picture_shape`."""
    if not info.more_geometries:
        return lambda item: item
    assert geometry is not None  # noqa: S101  # of a face
    before = info.geometries[: info.geometries.index(geometry)]
    start = sum(prod((each.height, each.width, 3)) for each in before)
    shape = (geometry.height, geometry.width, 3)

    def part(item: Any) -> Any:
        if isinstance(item, np.ndarray) and item.shape == info.picture_shape:
            return item[start : start + prod(shape)].reshape(shape)
        return None

    return part

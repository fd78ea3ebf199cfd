"""An ONNX model with its manifest, opened: what the detectors of either task share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration, read_calibration
from models.catalog import ModelFiles
from models.checkpoint import fingerprint
from models.detector import model_info
from models.errors import UnsupportedModel
from models.info import ModelInfo, Task
from models.labels import SpoofRule
from models.manifest_fields import Manifest, SamplesInput
from models.manifest_file import read_manifest
from models.onnx_engine import OnnxEngine
from models.onnx_graph import check_output, check_shares, fitting_graph, last_operator
from models.onnx_input import prepared_pictures, prepared_samples, spoof_probabilities
from models.options import LoadOptions


@dataclass(frozen=True)
class OnnxModel:
    """Opened and warm.

    Attributes:
        manifest: what it says of itself.
        engine: runs it.
        calibration: beside it or in its manifest, if it is to be applied.
        info: what it is and how it runs; without what only one task has.
    """

    manifest: Manifest
    engine: OnnxEngine
    calibration: Calibration | None
    info: ModelInfo


def open_onnx(files: ModelFiles, task: Task, options: LoadOptions, *, setting: str) -> OnnxModel:
    """Reads, checks, compiles and warms up.

    Args:
        files: with a manifest.
        task: that it is asked for.
        options: engine, precision.
        setting: name of the setting that would override the class names of other models.

    Raises:
        ModelError: its subclass and message name the cause and the remedy.
    """
    manifest = read_manifest(files.path)
    if manifest.task != task:
        raise UnsupportedModel(
            f"{files.reference!r} is a {manifest.task} model by its manifest, not for {task}s: give another"
        )
    refuse_label(files, options, setting=setting)
    graph = fitting_graph(files.path, manifest)
    output, given = manifest.output, manifest.input
    outputs = 0

    def read(values: NDArray[Any]) -> NDArray[np.float32]:
        nonlocal outputs
        if values.shape[1] != outputs:  # what the graph left open
            check_output(values.shape, manifest)
            check_shares(values, last_operator(graph.graph.outputs[graph.output]), manifest)
            outputs = values.shape[1]
        return spoof_probabilities(values, output)

    prepare: Callable[[NDArray[Any]], NDArray[np.float32]]
    if isinstance(given, SamplesInput):
        samples, pictures = given, None
        prepare = lambda batch: prepared_samples(batch, samples)  # noqa: E731
        probe: NDArray[Any] = _noise(given.window.samples)
    else:
        pictures = given
        prepare = lambda batch: prepared_pictures(batch, pictures)  # noqa: E731
        probe = np.random.default_rng(0).integers(0, 256, (given.height, given.width, 3), dtype=np.uint8)
    engine = OnnxEngine(graph, prepare, read, task, options)
    engine.warm_up(probe)
    classes = outputs if output.classes else 0
    rule = _rule(manifest, classes)
    facts = manifest.model_dump(mode="json", include={"task", "input", "output"})
    version = fingerprint(graph.files, facts, rule)
    calibration = (read_calibration(files.path, version) or _stated(manifest, version)) if options.calibrated else None
    info = model_info(
        files,
        engine,
        calibration,
        task=task,
        version=version,
        architecture=f"ONNX, {graph.parameters / 1e6:.2f} million parameters",
        labels=labels_of(manifest, classes),
        rule=rule,
        name=f"{manifest.name}@{manifest.version}",
    )
    return OnnxModel(manifest, engine, calibration, info)


def refuse_label(files: ModelFiles, options: LoadOptions, *, setting: str) -> None:
    """Raises `UnsupportedModel` where options name the class that means spoof: the manifest alone does."""
    if options.spoof_label:
        raise UnsupportedModel(
            f"{setting} is set, but {files.reference!r} has a manifest that says what means spoof; unset it"
        )


def labels_of(manifest: Manifest, classes: int) -> tuple[str, ...]:
    """The names of the classes: those of the manifest, or what they mean; none of a single value."""
    if manifest.output.labels is not None:
        return manifest.output.labels
    fake, real = ("spoof", "bona fide") if manifest.task == "voice" else ("fake", "live")
    return tuple(fake if index in manifest.output.classes else real for index in range(classes))


def spoof_in_words(manifest: Manifest) -> str:
    """What means spoof, as text."""
    if not manifest.output.classes:
        return f"{manifest.output.spoof} values of the only output"
    labels = labels_of(manifest, max(manifest.output.classes) + 1)
    return ", ".join(f"{index}: {labels[index]}" for index in manifest.output.classes)


def _rule(manifest: Manifest, classes: int) -> SpoofRule:
    """As other models describe it: one class, or all but one; of others the manifest's own words count."""
    chosen = manifest.output.classes
    if len(chosen) == 1:
        return SpoofRule(chosen[0])
    rest = sorted(set(range(classes)) - set(chosen))
    return SpoofRule(rest[0], inverted=True) if rest else SpoofRule(0, inverted=manifest.output.spoof == "lower")


def _stated(manifest: Manifest, version: str) -> Calibration | None:
    if (stated := manifest.calibration) is None:
        return None
    return Calibration(stated.scale, stated.offset, stated.threshold, version, {"stated in": "the manifest"})


def _noise(samples: int) -> NDArray[np.int16]:
    """Noise of speech-like level."""
    return np.random.default_rng(0).normal(0.0, 3000.0, samples).clip(-32768, 32767).astype(np.int16)

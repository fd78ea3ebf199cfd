"""Inspection of a model before it serves: description, cost on this machine, advice. Reference in, `Inspection` out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from lab.weight_facts import WeightFacts, weight_facts
from models.catalog import ModelFiles, find_model
from models.checkpoint import read_checkpoint
from models.detectors import load_detector
from models.errors import (
    AmbiguousLabels,
    BadManifest,
    CheckpointMismatch,
    EngineUnavailable,
    ModelError,
    ModelUnavailable,
)
from models.info import ModelInfo, Task
from models.options import LoadOptions
from models.speech import VoiceActivityDetector

_REPEATS = 7
SECONDS_PER_WINDOW = 4
_SLOW_PHOTO_MS = 500.0
_ADVICE: dict[type[ModelError], str] = {
    ModelUnavailable: "Nothing can be had under this name. Check the spelling, or give a folder that holds the model.",
    AmbiguousLabels: "Find out from the model's authors which class is the attack, and do what the sentence says.",
    BadManifest: "Correct the field; `python -m models.manifest FOLDER` checks it without loading the model.",
    CheckpointMismatch: "The weights are truncated or do not fit config.json: get them again, or save as safetensors.",
    EngineUnavailable: "Leave BONAFIDE_ENGINE and BONAFIDE_PRECISION at auto, or serve on another machine.",
}


@dataclass(frozen=True)
class Inspection:
    """A model that can be served.

    Attributes:
        info: the service's description of it.
        spoof: which class means spoof, as text.
        parameters: numbers in its weights.
        megabytes: size of its weights on disk.
        licence: as its model card states it; None: not stated.
        item_ms: median milliseconds per item, alone and in a full batch.
        core_ms: median milliseconds of CPU time per item, alone, with one thread; None on CUDA.
        speech_core_ms: the same for the speech detector; None for photos too.
        advice: to consider before serving it.
        set_threshold: of the settings, which counts before the calibration's; None: not set.
    """

    info: ModelInfo
    spoof: str
    parameters: int
    megabytes: float
    licence: str | None
    item_ms: tuple[float, float]
    core_ms: float | None
    speech_core_ms: float | None
    advice: tuple[str, ...]
    set_threshold: float | None = None


def inspect(reference: str, task: Task, options: LoadOptions, set_threshold: float | None = None) -> Inspection:
    """Loads a model as the service would, and inspects it.

    Args:
        reference: of the model.
        task: that it is asked for.
        options: how the service would load it.
        set_threshold: of the settings, if there is one.

    Raises:
        ModelError: it cannot be served; see `advice_for`.
    """
    files = find_model(reference, task, options.models_dir, offline=options.offline)
    facts = weight_facts(files, task, options)
    info, score = _loaded(reference, task, options)
    item_ms = _median_ms(score, 1), _median_ms(score, info.max_batch_size) / info.max_batch_size
    core_ms = speech_core_ms = None
    if info.device == "cpu":
        one_thread = replace(options, threads=1)
        score_on_one_core = score if options == one_thread else _loaded(reference, task, one_thread)[1]
        core_ms = _median_ms(score_on_one_core, 1, clock=time.process_time)
        if task == "voice":
            finder, windows = VoiceActivityDetector.load(one_thread), _windows(info)
            speech_core_ms = _median_ms(lambda count: finder.speech_ratios(windows[:count]), 1, clock=time.process_time)
    return Inspection(
        info=info,
        spoof=facts.spoof,
        parameters=facts.parameters,
        megabytes=sum(path.stat().st_size for path in facts.files) / 1e6,
        licence=facts.licence,
        item_ms=item_ms,
        core_ms=core_ms,
        speech_core_ms=speech_core_ms,
        advice=(*_assumptions(files), *_advice(info, item_ms, facts, set_threshold)),
        set_threshold=set_threshold,
    )


def advice_for(error: ModelError) -> str:
    """Advice on a model that cannot be served, in addition to its error message."""
    return _ADVICE.get(type(error), "This model cannot be served as it is; the sentence above says why.")


def _loaded(reference: str, task: Task, options: LoadOptions) -> tuple[ModelInfo, Callable[[int], object]]:
    """A model's description, and a function that scores a number of items."""
    detector = load_detector(reference, task, options)
    items = _windows(detector.info) if task == "voice" else _photos(detector.info)
    return detector.info, lambda count: detector.score(items[:count])


def _windows(info: ModelInfo) -> list[Any]:
    """A batch."""
    noise = np.random.default_rng(0).normal(0, 2000, (info.max_batch_size, info.window_samples or 0))
    return list(noise.astype(np.int16))


def _photos(info: ModelInfo) -> list[Any]:
    """A batch."""
    shape = (info.max_batch_size, *info.picture_shape)
    return list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def _median_ms(score: Callable[[int], object], count: int, clock: Callable[[], float] = time.perf_counter) -> float:
    times = []
    for _ in range(_REPEATS):
        began = clock()
        score(count)
        times.append(1000 * (clock() - began))
    return median(times)


def _assumptions(files: ModelFiles) -> list[str]:
    """What was taken for granted because the checkpoint does not say it."""
    if files.is_pth or files.is_converted or files.is_onnx or files.is_ensemble:
        return []
    checkpoint = read_checkpoint(files.path, files.base)
    found = []
    if checkpoint.assumed_processor:
        settings = ", ".join(f"{name} {value}" for name, value in checkpoint.processor.items())
        found.append(
            "It has no preprocessor_config.json, so its input is prepared as is usual in its family: "
            f"{settings}. Compare this with how it was trained, and write the file."
        )
    if checkpoint.overruled:
        found.append(
            "Its processor_config.json counts, as in transformers, and its preprocessor_config.json says otherwise of "
            f"{', '.join(checkpoint.overruled)}. Find out which of both it was trained with, and remove the other."
        )
    return found


def _advice(
    info: ModelInfo, item_ms: tuple[float, float], facts: WeightFacts, set_threshold: float | None
) -> list[str]:
    found = []
    if info.demo:
        found.append("It is a small demonstration model: do not decide by it.")
    if not info.calibrated:
        threshold = ", so 0.5 is its threshold" if set_threshold is None else ""
        found.append(f"It is not calibrated{threshold}: fit a calibration with `python -m lab.calibrate`.")
    if facts.licence is None and not facts.unlicensed:
        found.append("Its model card states no licence: ask its authors before you serve it.")
    found += [f"Its member {name} states no licence: ask its authors before you serve it." for name in facts.unlicensed]
    if facts.pickled:
        found.append(
            "Its weights are pickled; they are read without running code, but safetensors are safer to pass on."
        )
    if info.task == "voice" and item_ms[1] > 1000 * SECONDS_PER_WINDOW:
        found.append("It is slower than speech on this machine: a live call cannot be followed.")
    if info.task == "face" and item_ms[0] > _SLOW_PHOTO_MS:
        found.append(f"A photo takes more than {_SLOW_PHOTO_MS / 1000:g} s on this machine.")
    return found

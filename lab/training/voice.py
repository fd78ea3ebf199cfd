"""Trains the bundled voice model from one settings file.

    python -m lab.training.data.voice        # once: fetch and build the data
    python -m lab.training.voice             # train; run again to resume
    python -m lab.training.voice --first models/bundled/voice --out trial/
                                             # begin with the layers of an earlier model
    python -m lab.training.voice --without github:e1tts/e1tts.github.io --out trial/
                                             # the same without a site, which is the dev split then: for choices;
                                             # in a folder of its own in trial/, from the same recordings

Reads the manifest, writes checkpoints and, at the end, the weights with the best dev error as a folder in
transformers' format.
"""

import argparse
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch.utils.data import DataLoader
from transformers import (
    EvalPrediction,
    Trainer,
    TrainingArguments,
    WavLMForSequenceClassification,
    set_seed,
)

from lab.metrics import eer, family_weights
from lab.resumed import begun_before, digest_of
from lab.training import loop, voice_front, voice_head, voice_model, voice_teacher
from lab.training.data import manifest
from lab.training.data.manifest import NO_ATTACK, Item
from lab.training.data.packages import data_dir
from lab.training.data.voice_audio import load
from lab.training.voice_features import FourFeatures, WindowFeatures, write_fours
from lab.training.voice_windows import SPOOF_CLASS, fours, normalise, vary
from models.folders import build_once
from models.statistics_wavlm import WavLMForStatistics

log = logging.getLogger(__name__)

SETTINGS = Path(__file__).with_suffix(".yaml")

_WRITTEN, _HEARD, _START = "written", "heard", "start"


@dataclass(frozen=True)
class Schedule:
    """The `training` part of the settings file; numbers as transformers' `TrainingArguments` means them.

    Attributes:
        heard_fours: Fours of windows whose features are written before the first step.
        head_ridge: Ridge of the regression on them that sets the head.
        earlier_share: Of the earlier model's own score in the head's first one, where there is an earlier model.
        head_dropout: Share of the statistics that the head does without in a step.
        steps: Optimizer steps in all; 0: the head is set, and the layers stay.
        fours_per_step: Fours in a step.
        crop_frames: Length of the training crops in frames of 20 ms; short ones cost less and are as good.
        learning_rate: Peak; it falls along a cosine to zero.
        warmup_steps: Steps until the peak.
        weight_decay: Of AdamW.
        eval_steps: Steps between two evaluations on the dev split, each with a checkpoint.
        loader_workers: Processes that augment windows.
    """

    heard_fours: int
    head_ridge: float
    earlier_share: float
    head_dropout: float
    steps: int
    fours_per_step: int
    crop_frames: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    eval_steps: int
    loader_workers: int


def train(
    settings: dict[str, Any], data: Path, out: Path, without: Collection[str] = (), first: Path | None = None
) -> Path:
    """Trains, or resumes a training that was stopped.

    Args:
        settings: The settings file as a mapping.
        data: The manifest.
        out: Folder for the results of each step: `written`, the teacher as a WavLM; `heard`, the fours; `start`, with
            its head set; checkpoints; `model`, the finished one. The last three of a training without sources lie in
            a folder of their own there, `without-` and a digest of them.
        without: Sources that are not trained on. If there are any, they and the bona fide windows of the dev split
            are looked at in place of the dev split.
        first: Folder of an earlier model, whose front and layers are the first ones; by default the teacher's.

    Returns:
        The folder of the finished model.

    Raises:
        ValueError: There are no such sources, without them no four is left, or `out` holds a training of other
            settings, data or sources.
    """
    plan = Schedule(**settings["training"])
    items = manifest.read(data)
    every, dev = ([item for item in items if item.split == split] for split in ("train", "dev"))
    if unknown := set(without) - {item.source for item in every}:
        raise ValueError(f"no item of the train split is of {', '.join(sorted(unknown))}")
    left_out = [item for item in every if item.source in without]
    if left_out:
        dev = left_out + [item for item in dev if item.attack == NO_ATTACK]
    made_of = _facts(items, first)
    heard_of = {"model": settings["model"], "seed": settings["seed"], "fours": plan.heard_fours}
    begun_before(out / _HEARD, made_of | heard_of)
    own = out / f"without-{digest_of(*(source.encode() for source in sorted(without)))}" if without else out
    schedule = {name: value for name, value in settings["training"].items() if name != "loader_workers"}
    begun_before(own, made_of | heard_of | {"training": schedule, "without": sorted(without)})

    def write(folder: Path) -> None:
        earlier = None if first is None else voice_model.continued(settings["model"], first, settings["seed"])
        voice_model.save(earlier or _written(settings, every), folder)

    build_once(out / _WRITTEN, write)
    # Without a source, the fours that have a window of it are left out: what is heard serves both trainings.
    drawn = list(fours(every, plan.heard_fours, settings["seed"]))
    barred = {index for index, item in enumerate(every) if item.source in without}
    kept = [number for number, four in enumerate(drawn) if not barred & {index for index, _ in four}]
    if not kept:
        raise ValueError(f"without {', '.join(without)} nothing is left to learn from")

    def begin(folder: Path) -> None:
        # Loaded, so that all features come from the half-precision weights on disk.
        begun = voice_model.load(out / _WRITTEN)
        write_fours(begun, every, plan.heard_fours, settings["seed"], plan.loader_workers, out / _HEARD)
        set_seed(settings["seed"])
        heard = DataLoader(FourFeatures(out / _HEARD, plan.crop_frames, kept), batch_size=8)
        count, loss = voice_head.fit(begun, heard, plan.head_ridge, _own(first), plan.earlier_share)
        log.info("head set on %d windows, loss %.3f", count, loss)
        voice_model.save(begun, folder)

    model = voice_model.load(build_once(own / _START, begin))
    folder = own / "model"
    if not plan.steps:
        voice_model.save(model, folder)
        return folder
    trainer = Trainer(
        model=voice_model.Layers(model, plan.head_dropout),
        args=_arguments(plan, settings["seed"], own),
        train_dataset=FourFeatures(out / _HEARD, plan.crop_frames, kept),
        eval_dataset=WindowFeatures(model, dev),
        compute_metrics=_dev_metrics(dev),
    )
    loop.run(trainer, loop.last_checkpoint(own))
    voice_model.save(model, folder)
    result = {"dev_eer": trainer.state.best_metric, "step": trainer.state.best_global_step, "settings": settings}
    (own / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    return folder


def _facts(items: Sequence[Item], first: Path | None) -> dict[str, str]:
    """What a training is made of besides its settings."""
    weights = b"" if first is None else (first / "model.safetensors").read_bytes()
    return {"data": manifest.digest(items), "first": digest_of(weights)}


def _own(first: Path | None) -> voice_head.Line | None:
    """The score of the earlier model, if there is one."""
    if first is None:
        return None
    earlier = WavLMForSequenceClassification.from_pretrained(first, dtype=torch.float32)
    return voice_head.own_score(earlier, 4 * int(earlier.config.hidden_size) + 3 * voice_front.FILTERS)


def _written(settings: dict[str, Any], items: list[Item]) -> WavLMForStatistics:
    """A model with the teacher written into it and an untrained head."""
    model = voice_model.build(settings["model"], settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    chosen = [items[index] for index in rng.permutation(len(items))[:48]]
    speech = np.stack([normalise(vary(load(item.path), rng)[0]) for item in chosen])
    teacher = voice_teacher.encoder(model.config.num_hidden_layers)
    error = voice_front.install(model, teacher, torch.from_numpy(speech))
    log.info("log-mel features of the front: relative squared error %.3f", error)
    model.train(False)
    return model


def _arguments(plan: Schedule, seed: int, out: Path) -> TrainingArguments:
    return loop.settings(
        out,
        seed=seed,
        eval_steps=plan.eval_steps,
        max_steps=plan.steps,
        per_device_train_batch_size=plan.fours_per_step,
        per_device_eval_batch_size=16,
        learning_rate=plan.learning_rate,
        warmup_steps=plan.warmup_steps,
        weight_decay=plan.weight_decay,
        logging_steps=50,
        eval_on_start=True,
        load_best_model_at_end=True,
    )


def _dev_metrics(dev: list[Item]) -> Any:
    weights = family_weights([item.attack for item in dev])

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        logits = np.asarray(prediction.predictions)
        truth = np.asarray(prediction.label_ids) == SPOOF_CLASS
        return {"eer": eer(logits[:, 1] - logits[:, 0], truth, weights)}

    return metrics


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.voice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = data_dir() / "voice"
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="settings file (%(default)s)")
    parser.add_argument("--data", type=Path, default=default / "manifest.jsonl", help="manifest (%(default)s)")
    parser.add_argument("--out", type=Path, default=default / "run", help="checkpoints, model (%(default)s)")
    parser.add_argument("--first", type=Path, metavar="FOLDER", help="earlier model to begin with (default: teacher)")
    parser.add_argument("--without", action="append", default=[], metavar="SOURCE", help="leave it out of training")
    parser.add_argument("--threads", type=int, default=1, help="threads for the model (%(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    settings = yaml.safe_load(arguments.settings.read_text())
    train(settings, arguments.data, arguments.out, arguments.without, arguments.first)


if __name__ == "__main__":
    main()

"""Adds the spectral branch to a voice model: taught convolutions, a regression on their averages, and both scores.

All learn from windows as they are recorded and from the same ones behind a call, whose codec is no sign of a spoof.

    python -m lab.training.voice_branch --first earlier/models/bundled/voice
    python -m lab.training.voice_branch --first earlier/models/bundled/voice --table
                                             # what each score and both tell of sites left out, and how much real
                                             # speech is refused over calls; writes nothing

The manifest of `lab.training.data.voice` and a folder with weights of `lab.training.voice` in; the same folder with a
branch out. Windows, what Distill-MOS finds in them and the taught convolutions stay on disk: the next run is short.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from transformers import WavLMConfig

from lab.training import (
    branch_table,
    branch_teaching,
    calls_table,
    voice_calls_offset,
    voice_head,
    voice_model,
    voice_recordings,
)
from lab.training.branch_teaching import Copying
from lab.training.data import manifest, voice_calls
from lab.training.data.manifest import NO_ATTACK, SPOOF, Item
from lab.training.data.packages import data_dir
from lab.training.data.voice_audio import load
from lab.training.voice_calls_offset import Offset
from lab.training.voice_probe import is_modern, site
from lab.training.voice_windows import SPOOF_CLASS, normalise
from models.graph import use_fused_attention
from models.spectral_branch import SpectralBranch
from models.statistics_wavlm import WavLMForStatistics

log = logging.getLogger(__name__)

SETTINGS = Path(__file__).with_suffix(".yaml")
_BATCH = 8

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Recorded:
    """Training windows, and the branch whose averages of them are known.

    Attributes:
        windows: int16 (n, 64000), as recorded.
        calls: the same, each behind a call.
        branch: taught, rounded to half precision, its averages of deviation 1; nothing judges them yet.
        items: of each of `windows`, then of each of `calls`.
        averages: of both, float32 (2 n, width).
    """

    windows: NDArray[np.int16]
    calls: NDArray[np.int16]
    branch: SpectralBranch
    items: Sequence[Item]
    averages: Floats


def recorded(settings: dict[str, Any], items: Sequence[Item], folder: Path) -> Recorded:
    """Records training windows and teaches the branch, or opens what a run before left.

    Args:
        settings: the settings file as a mapping.
        items: the manifest's.
        folder: for windows, maps, averages and the branch.
    """
    train = [item for item in items if item.split == "train"]
    plan = settings["recording"]
    windows, numbers = voice_recordings.write(
        train, plan["fours"], settings["seed"], plan["workers"], folder / "windows.npy"
    )
    calls = voice_recordings.write_calls(windows, settings["seed"], plan["workers"], folder / "calls.npy")
    kept = folder / "branch.pt"
    if not kept.exists():
        maps = branch_teaching.maps_of(windows, folder / "maps.npy")
        copying = Copying(channels=settings["channels"], seed=settings["seed"], **settings["teaching"])
        taught = branch_teaching.taught(windows, maps, copying)
        branch_teaching.even(taught, windows)
        torch.save({name: each.half() for name, each in taught.state_dict().items()}, kept)
    branch = SpectralBranch(settings["channels"])
    branch.load_state_dict({name: each.float() for name, each in torch.load(kept, weights_only=True).items()})
    branch.train(False)
    averages = [
        _kept_averages(branch, windows, folder / "averages.npy"),
        _kept_averages(branch, calls, folder / "call_averages.npy"),
    ]
    return Recorded(windows, calls, branch, [train[number] for number in numbers] * 2, np.concatenate(averages))


def _kept_averages(branch: SpectralBranch, windows: NDArray[np.int16], file: Path) -> Floats:
    if not file.exists():
        np.save(file, branch_teaching.averages(branch, windows))
    found: Floats = np.load(file)
    return found


def milder_on_calls(first: Path, heard: Recorded, plan: Offset, folder: Path) -> WavLMForStatistics:
    """The earlier model, which takes calls' codecs for synthesis no longer.

    Args:
        first: folder of the earlier model.
        heard: what it learns from.
        plan: how much is taken off.
        folder: where its statistics of windows are kept, under a name that tells of which weights they are.
    """
    model = voice_model.load(first)
    kept = folder / f"statistics-{sha256((first / 'model.safetensors').read_bytes()).hexdigest()[:8]}.npy"
    if not kept.exists():
        seen = [voice_calls_offset.statistics(model, each) for each in (heard.windows, heard.calls)]
        np.save(kept, torch.cat(seen).numpy())
    before, after = torch.from_numpy(np.load(kept)).chunk(2)
    real = torch.tensor([item.label != SPOOF for item in heard.items[: len(before)]])
    voice_calls_offset.install(model, before, after, real, plan)
    return model


def judge(heard: Recorded, learn: Flags, ridge: float) -> None:
    """Fits what judges the averages, a logistic regression, and writes it into the branch.

    Args:
        heard: its branch is changed in place.
        learn: bool (windows,), those to learn from.
        ridge: weight of the squared weights in the loss.
    """
    inputs = torch.from_numpy(heard.averages[learn])
    spoof = torch.tensor([item.label == SPOOF for item, taken in zip(heard.items, learn, strict=True) if taken])
    centre, spread = inputs.mean(0), inputs.std(0) + 1e-2
    weight, bias, loss = voice_head.regression((inputs - centre) / spread, spoof.float(), ridge)
    log.info("judged %d windows, loss %.3f", len(inputs), loss)
    with torch.no_grad():
        heard.branch.get_buffer("centre").copy_(centre)
        heard.branch.get_buffer("spread").copy_(spread)
        heard.branch.judge.weight.copy_(weight[None])
        heard.branch.judge.bias.copy_(bias[None])


@dataclass(frozen=True)
class Shown:
    """Windows of the development split and modern ones of the train split, as they lie there, and what is seen of them.

    Attributes:
        items: of each window.
        own: the earlier model's logit of spoof, float32 (windows,).
        averages: the branch's, float32 (windows, width).
    """

    items: Sequence[Item]
    own: Floats
    averages: Floats

    @property
    def real(self) -> Flags:
        """Real speech of the development split, by which both logits are brought to one scale."""
        return np.array([item.split == "dev" and item.attack == NO_ATTACK for item in self.items])


def shown(first: WavLMForStatistics, branch: SpectralBranch, items: Sequence[Item]) -> Shown:
    """Runs the earlier model and the branch on them.

    Args:
        first: the earlier model.
        branch: taught.
        items: the manifest's.
    """
    chosen = [item for item in items if item.split == "dev" or (item.split == "train" and is_modern(item))]
    samples = np.stack([normalise(load(item.path)) for item in chosen])
    return Shown(chosen, _own_logits(first, samples), branch_teaching.averages(branch, samples))


@torch.inference_mode()
def branch_logits(branch: SpectralBranch, averages: Floats) -> Floats:
    """What the judged branch makes of averages, float32 (windows, width) -> logits of spoof, (windows,)."""
    return np.asarray(branch.judged(torch.from_numpy(averages)).numpy())


@torch.no_grad()
def joined(first: WavLMForStatistics, branch: SpectralBranch, windows: Shown) -> WavLMForStatistics:
    """The model with the branch, both logits in deviations from their mean over real speech.

    Args:
        first: without a branch.
        branch: judged.
        windows: of `shown`.
    """
    settings = first.config.to_dict() | {"branch_channels": branch.channels}
    model = WavLMForStatistics(WavLMConfig(**settings))
    model.load_state_dict(first.state_dict(), strict=False)
    assert model.branch is not None  # noqa: S101  # its configuration has channels
    model.branch.load_state_dict(branch.state_dict())
    own, added = windows.own[windows.real], branch_logits(branch, windows.averages[windows.real])
    side = torch.full((2,), -0.5)
    side[SPOOF_CLASS] = 0.5
    model.classifier.bias.sub_(side * float(own.mean()))
    model.branch.judge.bias.sub_(float(added.mean()))
    for part, logits in ((model.classifier, own), (model.branch.judge, added)):
        part.weight.div_(float(logits.std()))
        part.bias.div_(float(logits.std()))
    model.train(False)
    return model


@torch.inference_mode()
def _own_logits(model: WavLMForStatistics, samples: Floats) -> Floats:
    use_fused_attention(model)
    batches = (torch.from_numpy(samples[n : n + _BATCH]) for n in range(0, len(samples), _BATCH))
    logits = torch.cat([model(batch).logits for batch in batches])
    return np.asarray((logits[:, SPOOF_CLASS] - logits[:, 1 - SPOOF_CLASS]).numpy())


def _of_calls(
    windows: Shown, before: WavLMForStatistics, first: WavLMForStatistics, both: WavLMForStatistics
) -> list[str]:
    real = [item for item, is_real in zip(windows.items, windows.real, strict=True) if is_real]
    groups = ["corpora" if is_modern(item) else "packages" for item in real]
    models = {"earlier score as it was": before, "earlier score": first, "both": both}
    judges = {name: partial(_own_logits, model) for name, model in models.items()}
    return calls_table.table([load(item.path) for item in real], groups, judges)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.voice_branch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = data_dir() / "voice"
    parser.add_argument("--first", type=Path, required=True, metavar="FOLDER", help="weights of lab.training.voice")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="settings file (%(default)s)")
    parser.add_argument("--data", type=Path, default=default / "manifest.jsonl", help="manifest (%(default)s)")
    parser.add_argument("--out", type=Path, default=default / "branch", help="what is kept, model (%(default)s)")
    parser.add_argument(
        "--table",
        action="store_true",
        help="print what scores tell of sites left out, and how much real speech they refuse over calls",
    )
    arguments = parser.parse_args()
    if reason := voice_calls.missing():
        parser.error(reason)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = yaml.safe_load(arguments.settings.read_text())
    items = manifest.read(arguments.data)
    heard = recorded(settings, items, arguments.out)
    judging = settings["judging"]
    first = milder_on_calls(arguments.first, heard, Offset(**settings["calls"]), arguments.out)
    windows = shown(first, heard.branch, items)
    ridge = float(judging["ridge"])
    if arguments.table:

        def logits_without(sites: frozenset[str]) -> Floats:
            judge(heard, np.array([site(item) not in sites for item in heard.items]), ridge)
            return branch_logits(heard.branch, windows.averages)

        lines = branch_table.table(windows.items, windows.own, logits_without)
        judge(heard, np.ones(len(heard.items), np.bool_), ridge)
        lines += [
            "",
            *_of_calls(windows, voice_model.load(arguments.first), first, joined(first, heard.branch, windows)),
        ]
        print("\n".join(lines))  # noqa: T201  # the output
        return
    judge(heard, np.ones(len(heard.items), np.bool_), ridge)
    voice_model.save(joined(first, heard.branch, windows), arguments.out / "model")


if __name__ == "__main__":
    main()

"""Adds branches to a voice model: convolutions that judge quality, a regression on their averages, and both scores.

All learn from windows as they are recorded and from the same ones behind a call, whose codec is no sign of a spoof; the
regression from modern clips as they are, too.

    python -m lab.training.voice_branch --first earlier/models/bundled/voice
    python -m lab.training.voice_branch --first earlier/models/bundled/voice --table
                                             # what each score and both tell of sites left out, and how much real
                                             # speech is refused over calls; writes nothing

The manifest of `lab.training.data.voice` and a folder with weights of `lab.training.voice` in; the same folder with
branches out. Windows, what Distill-MOS finds in them and the convolutions stay on disk: the next run is short.
"""

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import compress
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from transformers import WavLMConfig

from lab.training import (
    branch_table,
    branch_teaching,
    calls_table,
    plc_mos,
    voice_calls_offset,
    voice_head,
    voice_model,
    voice_recordings,
)
from lab.training.branch_teaching import Copying
from lab.training.branches import Branches, even
from lab.training.data import manifest, voice_calls
from lab.training.data.manifest import NO_ATTACK, SPOOF, Item
from lab.training.data.packages import data_dir
from lab.training.data.voice_audio import load
from lab.training.voice_calls_offset import Offset
from lab.training.voice_probe import is_modern, site
from lab.training.voice_windows import SPOOF_CLASS, normalise
from models.branch import Branch
from models.graph import use_fused_attention
from models.power_branch import PowerBranch
from models.spectral_branch import SpectralBranch
from models.statistics_wavlm import WavLMForStatistics

log = logging.getLogger(__name__)

SETTINGS = Path(__file__).with_suffix(".yaml")
_BATCH = 8

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Recorded:
    """Training windows, and the branches whose averages of them are known.

    Attributes:
        windows: int16 (n, 64000), as recorded.
        calls: the same, each behind a call.
        branches: rounded to half precision, their averages of deviation 1; nothing judges them yet.
        items: of each of `windows`, then of each of `calls`.
        averages: of both, float32 (2 n, width).
    """

    windows: NDArray[np.int16]
    calls: NDArray[np.int16]
    branches: Branches
    items: Sequence[Item]
    averages: Floats


def recorded(settings: dict[str, Any], items: Sequence[Item], folder: Path) -> Recorded:
    """Records training windows and makes the branches, or opens what a run before left.

    Args:
        settings: the settings file as a mapping.
        items: the manifest's.
        folder: for windows, maps, averages and the branches.
    """
    train = [item for item in items if item.split == "train"]
    plan = settings["recording"]
    windows, numbers = voice_recordings.write(
        train, plan["fours"], settings["seed"], plan["workers"], folder / "windows.npy"
    )
    calls = voice_recordings.write_calls(windows, settings["seed"], plan["workers"], folder / "calls.npy")

    def taught() -> Branch:
        maps = branch_teaching.maps_of(windows, folder / "maps.npy")
        copying = Copying(channels=settings["channels"], seed=settings["seed"], **settings["teaching"])
        return branch_teaching.taught(windows, maps, copying)

    branches = Branches(
        {
            "spectral_branch": _kept(taught, SpectralBranch(settings["channels"]), windows, folder / "spectral.pt"),
            "power_branch": _kept(plc_mos.branch, PowerBranch(plc_mos.CHANNELS), windows, folder / "power.pt"),
        }
    )
    averages = [
        _kept_averages(branches, windows, folder / "averages.npy"),
        _kept_averages(branches, calls, folder / "call_averages.npy"),
    ]
    return Recorded(windows, calls, branches, [train[number] for number in numbers] * 2, np.concatenate(averages))


def _kept(make: Callable[[], Branch], empty: Branch, windows: NDArray[np.int16], file: Path) -> Branch:
    """A branch of deviation 1 in half precision; its file is opened again if it is there.

    Args:
        make: makes it.
        empty: one of its sizes.
        windows: by which deviations are counted.
        file: of its weights.
    """
    if not file.exists():
        made = make()
        even(made, windows)
        torch.save({name: each.half() for name, each in made.state_dict().items()}, file)
    empty.load_state_dict({name: each.float() for name, each in torch.load(file, weights_only=True).items()})
    return empty.train(False)


def _kept_averages(branches: Branches, windows: NDArray[np.int16], file: Path) -> Floats:
    if not file.exists():
        np.save(file, branches.averages(windows))
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


@dataclass(frozen=True)
class Shown:
    """Windows of the development split and modern ones of the train split, as they lie there, and what is seen of them.

    Attributes:
        items: of each window.
        own: the earlier model's logit of spoof, float32 (windows,).
        averages: the branches', float32 (windows, width).
    """

    items: Sequence[Item]
    own: Floats
    averages: Floats

    @property
    def real(self) -> Flags:
        """Real speech of the development split, by which both logits are brought to one scale."""
        return np.array([item.split == "dev" and item.attack == NO_ATTACK for item in self.items])


def shown(first: WavLMForStatistics, branches: Branches, items: Sequence[Item]) -> Shown:
    """Runs the earlier model and the branches on them.

    Args:
        first: the earlier model.
        branches: of `recorded`.
        items: the manifest's.
    """
    chosen = [item for item in items if item.split == "dev" or (item.split == "train" and is_modern(item))]
    samples = np.stack([normalise(load(item.path)) for item in chosen])
    return Shown(chosen, _own_logits(first, samples), branches.averages(samples))


@dataclass(frozen=True)
class Judging:
    """How the branches are judged.

    Attributes:
        ridge: weight of the regression's squared weights in its loss.
        as_they_are: share of modern windows as they lie on disk in what the regression learns from, 0..1; the others
            are recorded ones and calls, half each.
    """

    ridge: float
    as_they_are: float


def judge(heard: Recorded, windows: Shown, plan: Judging, without: frozenset[str] = frozenset()) -> None:
    """Fits what judges the averages, a logistic regression, and writes it into the branches.

    Args:
        heard: its branches are changed in place.
        windows: those of the train split are learned from too.
        plan: how.
        without: sites that it does not learn from.
    """
    chosen = [item.split == "train" and site(item) not in without for item in windows.items]
    also = [site(item) not in without for item in heard.items]
    averages = torch.from_numpy(np.concatenate([heard.averages[also], windows.averages[chosen]]))
    items = [*compress(heard.items, also), *compress(windows.items, chosen)]
    spoof = torch.tensor([item.label == SPOOF for item in items]).float()
    share = plan.as_they_are
    counts = torch.cat(
        [torch.full((sum(side),), part / max(1, sum(side))) for side, part in ((also, 1 - share), (chosen, share))]
    )
    counts /= counts.sum()
    centre = counts @ averages
    spread = (counts @ (averages - centre).square()).sqrt() + 1e-2
    weight, bias, loss = voice_head.regression((averages - centre) / spread, spoof, plan.ridge, counts)
    log.info("judged %d windows, loss %.3f", len(items), loss)
    heard.branches.judge_by(weight, bias, centre, spread)


@torch.no_grad()
def joined(first: WavLMForStatistics, branches: Branches, windows: Shown) -> WavLMForStatistics:
    """The model with the branches, both logits in deviations from their mean over real speech.

    Args:
        first: without branches.
        branches: judged.
        windows: of `shown`.
    """
    settings = first.config.to_dict() | {f"{name}_channels": each.channels for name, each in branches.named.items()}
    model = WavLMForStatistics(WavLMConfig(**settings))
    model.load_state_dict(first.state_dict(), strict=False)
    beside = Branches({name: cast("Branch", model.branches[name]) for name in branches.named})
    for name, branch in branches.named.items():
        beside.named[name].load_state_dict(branch.state_dict())
    own, added = windows.own[windows.real], branches.logits(windows.averages[windows.real])
    beside.rescale(float(added.mean()), float(added.std()))
    side = torch.full((2,), -0.5)
    side[SPOOF_CLASS] = 0.5
    model.classifier.bias.sub_(side * float(own.mean())).div_(float(own.std()))
    model.classifier.weight.div_(float(own.std()))
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
    first = milder_on_calls(arguments.first, heard, Offset(**settings["calls"]), arguments.out)
    windows = shown(first, heard.branches, items)
    plan = Judging(**settings["judging"])
    if arguments.table:

        def logits_without(sites: frozenset[str]) -> Floats:
            judge(heard, windows, plan, sites)
            return heard.branches.logits(windows.averages)

        lines = branch_table.table(windows.items, windows.own, logits_without)
        judge(heard, windows, plan)
        lines += [
            "",
            *_of_calls(windows, voice_model.load(arguments.first), first, joined(first, heard.branches, windows)),
        ]
        print("\n".join(lines))  # noqa: T201  # the output
        return
    judge(heard, windows, plan)
    voice_model.save(joined(first, heard.branches, windows), arguments.out / "model")


if __name__ == "__main__":
    main()

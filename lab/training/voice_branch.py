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
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import cast

import numpy as np
import torch
import yaml
from transformers import WavLMConfig

from lab.training import branch_table, calls_table, voice_calls_offset, voice_model
from lab.training.branch_judging import Judging, judge
from lab.training.branch_windows import Floats, Recorded, Shown, own_logits, recorded, shown
from lab.training.branches import Branches
from lab.training.data import manifest, voice_calls
from lab.training.data.manifest import SPOOF
from lab.training.data.packages import data_dir
from lab.training.data.voice_audio import load
from lab.training.voice_calls_offset import Offset
from lab.training.voice_probe import is_modern
from lab.training.voice_windows import SPOOF_CLASS
from models.atomic import atomic
from models.branch import Branch
from models.statistics_wavlm import WavLMForStatistics

log = logging.getLogger(__name__)

SETTINGS = Path(__file__).with_suffix(".yaml")


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
        seen = voice_calls_offset.statistics(model, heard.windows, heard.calls)
        with atomic(kept) as fresh:
            np.save(fresh, seen.numpy())
    before, after = torch.from_numpy(np.load(kept)).chunk(2)
    real = torch.tensor([item.label != SPOOF for item in heard.items[: len(before)]])
    voice_calls_offset.install(model, before, after, real, plan)
    return model


@torch.no_grad()
def joined(first: WavLMForStatistics, branches: Branches, windows: Shown, less: float) -> WavLMForStatistics:
    """The model with the branches, both logits in deviations from their mean over real speech.

    Args:
        first: without branches.
        branches: judged.
        windows: of `shown`.
        less: what is taken off the model's own logit then.
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
    model.classifier.bias.sub_(side * less)
    model.train(False)
    return model


def _of_calls(
    windows: Shown, before: WavLMForStatistics, first: WavLMForStatistics, both: WavLMForStatistics
) -> list[str]:
    real = [item for item, is_real in zip(windows.items, windows.real, strict=True) if is_real]
    groups = ["corpora" if is_modern(item) else "packages" for item in real]
    models = {"earlier score as it was": before, "earlier score": first, "both": both}
    judges = {name: partial(own_logits, model) for name, model in models.items()}
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
    parser.add_argument(
        "--convolutions",
        type=Path,
        metavar="FOLDER",
        help="take the convolutions of a model that has branches instead of teaching them: half of the time",
    )
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
    heard = recorded(settings, items, arguments.out, arguments.convolutions)
    first = milder_on_calls(arguments.first, heard, Offset(**settings["calls"]), arguments.out)
    windows = shown(first, heard.branches, items)
    plan, less = Judging(**settings["judging"]), float(settings["earlier_less"])
    if arguments.table:

        def logits_without(sites: frozenset[str]) -> Floats:
            judge(heard, windows, plan, sites)
            return heard.branches.logits(windows.averages)

        lines = branch_table.table(windows.items, windows.own, logits_without, less)
        judge(heard, windows, plan)
        lines += [
            "",
            *_of_calls(windows, voice_model.load(arguments.first), first, joined(first, heard.branches, windows, less)),
        ]
        print("\n".join(lines))  # noqa: T201  # the output
        return
    judge(heard, windows, plan)
    voice_model.save(joined(first, heard.branches, windows, less), arguments.out / "model")


if __name__ == "__main__":
    main()

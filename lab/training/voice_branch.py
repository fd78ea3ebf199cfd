"""Adds the spectral branch to a voice model: taught convolutions, a regression on their averages, and a sum of scores.

    python -m lab.training.voice_branch --first earlier/models/bundled/voice
    python -m lab.training.voice_branch --first earlier/models/bundled/voice --table
                                             # what shares of the earlier score give on sites left out; writes nothing

The manifest of `lab.training.data.voice` and a folder with weights of `lab.training.voice` in; the same folder with a
branch out. Windows, what Distill-MOS finds in them and the taught convolutions stay on disk: the next run is short.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from transformers import WavLMConfig

from lab.metrics import eer, family_weights
from lab.training import branch_teaching, voice_head, voice_model, voice_recordings
from lab.training.branch_teaching import Copying
from lab.training.data import manifest
from lab.training.data.manifest import NO_ATTACK, SPOOF, Item
from lab.training.data.packages import data_dir
from lab.training.data.voice_audio import load
from lab.training.data.voice_copies import NEURAL
from lab.training.voice_probe import FOLDS, is_modern
from lab.training.voice_windows import SPOOF_CLASS, normalise
from models.graph import use_fused_attention
from models.spectral_branch import SpectralBranch
from models.statistics_wavlm import WavLMForStatistics

log = logging.getLogger(__name__)

SETTINGS = Path(__file__).with_suffix(".yaml")
SHARES = (0.0, 0.3, 0.4, 0.5, 1.0)
_BATCH = 8

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Recorded:
    """Training windows, and the branch whose averages of them are known.

    Attributes:
        branch: taught, rounded to half precision, its averages of deviation 1; nothing judges them yet.
        items: of each window.
        averages: float32 (windows, width).
    """

    branch: SpectralBranch
    items: Sequence[Item]
    averages: Floats


def recorded(settings: dict[str, Any], items: Sequence[Item], folder: Path) -> Recorded:
    """Records training windows and teaches the branch, or opens what a run before left.

    Args:
        settings: the settings file as a mapping.
        items: the manifest's.
        folder: for windows, maps and the branch.
    """
    train = [item for item in items if item.split == "train"]
    plan = settings["recording"]
    windows, numbers = voice_recordings.write(
        train, plan["fours"], settings["seed"], plan["workers"], folder / "windows.npy"
    )
    kept = folder / "branch.pt"
    branch = SpectralBranch(settings["channels"])
    if not kept.exists():
        maps = branch_teaching.maps_of(windows, folder / "maps.npy")
        copying = Copying(channels=settings["channels"], seed=settings["seed"], **settings["teaching"])
        taught = branch_teaching.taught(windows, maps, copying)
        branch_teaching.even(taught, windows)
        torch.save({name: each.half() for name, each in taught.state_dict().items()}, kept)
    branch.load_state_dict({name: each.float() for name, each in torch.load(kept, weights_only=True).items()})
    branch.train(False)
    return Recorded(branch, [train[number] for number in numbers], branch_teaching.averages(branch, windows))


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
    side = torch.full((2,), -0.5)
    side[SPOOF_CLASS] = 0.5
    with torch.no_grad():
        heard.branch.get_buffer("centre").copy_(centre)
        heard.branch.get_buffer("spread").copy_(spread)
        heard.branch.judge.weight.copy_(side[:, None] * weight)
        heard.branch.judge.bias.copy_(side * bias)


@torch.no_grad()
def joined(first: WavLMForStatistics, branch: SpectralBranch, share: float) -> WavLMForStatistics:
    """The model with the branch: `share` of its own score, the rest the branch's.

    Args:
        first: without a branch.
        branch: judged.
        share: 0..1.
    """
    settings = first.config.to_dict() | {"branch_channels": branch.channels}
    model = WavLMForStatistics(WavLMConfig(**settings))
    model.load_state_dict(first.state_dict(), strict=False)
    assert model.branch is not None  # noqa: S101  # its configuration has channels
    model.branch.load_state_dict(branch.state_dict())
    for part, weight in ((model.classifier, share), (model.branch.judge, 1 - share)):
        part.weight.mul_(weight)
        part.bias.mul_(weight)
    model.train(False)
    return model


def table(heard: Recorded, first: WavLMForStatistics, items: Sequence[Item], ridge: float) -> list[str]:
    """Rows of a Markdown table: equal error rates by share of the earlier score, each site judged without its windows.

    The earlier model itself has learned from these sites, so that its share makes them look easier than they are.

    Args:
        heard: training windows.
        first: the earlier model.
        items: the manifest's.
        ridge: see `judge`.
    """
    shown = [item for item in items if item.split == "dev" or (item.split == "train" and is_modern(item))]
    samples = [normalise(load(item.path)) for item in shown]
    own = _own_logits(first, samples)
    dev = np.array([item.split == "dev" for item in shown])
    modern = np.array([is_modern(item) for item in shown])
    attack = np.array([item.attack for item in shown])
    real = attack == NO_ATTACK
    columns: dict[str, tuple[Floats, Flags]] = {}
    for name, sites in FOLDS.items():
        judge(heard, np.array([_site(item) not in sites for item in heard.items]), ridge)
        of_sites = np.array([_site(item) in sites for item in shown]) & (attack != NEURAL)
        columns[name] = _branch_logits(heard.branch, samples), of_sites & ~dev | dev & modern & real
    judge(heard, np.ones(len(heard.items), np.bool_), ridge)
    everything = _branch_logits(heard.branch, samples)
    neural = np.isin(attack, [NEURAL, "hibari"])
    columns["old families"] = everything, dev & ~modern & ~neural
    for name in sorted({NEURAL, "hibari"} & set(attack.tolist())):
        columns[name] = everything, dev & ((attack == name) | real)
    rows = ["| share | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for share in SHARES:
        cells = []
        for branch, among in columns.values():
            scores = ((1 - share) * branch + share * own)[among]
            rate = eer(scores, ~real[among], family_weights(attack[among].tolist()))
            cells.append(f"{100 * rate:.1f} %")
        rows.append(f"| {share} | {' | '.join(cells)} |")
    return rows


def _site(item: Item) -> str:
    return item.source.split("/")[-1]


@torch.inference_mode()
def _branch_logits(branch: SpectralBranch, samples: Sequence[Floats]) -> Floats:
    found = [branch(torch.from_numpy(np.stack(samples[n : n + _BATCH]))) for n in range(0, len(samples), _BATCH)]
    return _spoof(torch.cat(found))


@torch.inference_mode()
def _own_logits(model: WavLMForStatistics, samples: Sequence[Floats]) -> Floats:
    use_fused_attention(model)
    batches = (torch.from_numpy(np.stack(samples[n : n + _BATCH])) for n in range(0, len(samples), _BATCH))
    return _spoof(torch.cat([model(batch).logits for batch in batches]))


def _spoof(logits: torch.Tensor) -> Floats:
    return np.asarray((logits[:, SPOOF_CLASS] - logits[:, 1 - SPOOF_CLASS]).numpy())


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
    parser.add_argument("--table", action="store_true", help="print what shares of the earlier score give")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = yaml.safe_load(arguments.settings.read_text())
    items = manifest.read(arguments.data)
    first: WavLMForStatistics = WavLMForStatistics.from_pretrained(arguments.first, dtype=torch.float32)
    first.train(False)
    heard = recorded(settings, items, arguments.out)
    judging = settings["judging"]
    if arguments.table:
        print("\n".join(table(heard, first, items, judging["ridge"])))  # noqa: T201  # the output
        return
    judge(heard, np.ones(len(heard.items), np.bool_), judging["ridge"])
    voice_model.save(joined(first, heard.branch, judging["earlier_share"]), arguments.out / "model")


if __name__ == "__main__":
    main()

"""What statistics of a frozen voice model tell of systems that it never heard, before anything is trained for hours.

    python -m lab.training.voice_probe --model models/bundled/voice --gate 0.02

A WavLM folder and the manifest of `lab.training.data.voice` in, a table out: equal error rates on each group of sites
that a logistic regression was fitted without, for the model's own score, for the regression alone, and for both.
Choices are made here; the test split is never read.
"""

import argparse
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import WavLMConfig, WavLMForSequenceClassification

from lab.metrics import eer, family_weights
from lab.training import voice_front, voice_head, voice_model
from lab.training.data import manifest
from lab.training.data.manifest import NO_ATTACK, SPOOF, Item
from lab.training.data.packages import data_dir
from lab.training.data.voice_audio import load
from lab.training.data.voice_copies import NEURAL
from lab.training.data.voice_tts import MODERN_VOICES
from lab.training.voice_windows import corpus, normalise, spoof_logits, vary
from models.graph import use_fused_attention
from models.statistics_wavlm import WavLMForStatistics, log_spectrum, statistics

log = logging.getLogger(__name__)

Features = NDArray[np.float32]
Flags = NDArray[np.bool_]

FOLDS: Mapping[str, frozenset[str]] = {
    "e1tts": frozenset({"e1tts.github.io"}),
    "LJ": frozenset({"Matcha-TTS", "OverFlow", "ParallelWaveGAN", "TensorFlowTTS", "PortaSpeech", "DiffSinger"}),
    "mimic3": frozenset({"mimic3-voices"}),
}
"""Groups of sites that share speakers; a regression is fitted without one of them and judged on it."""
MODERN_FAMILIES = MODERN_VOICES | NEURAL.keys()
"""Those of packages that speak and copy by networks."""
OLD = "old"
"""The other families of the dev split, which come from packages, judged by the regression on all sites."""
_BATCH = 4
_FIT_STEPS = 60
_STEADY = 1e-2
"""Added to the deviation of each statistic, for those that hardly vary."""


@dataclass(frozen=True)
class Windows:
    """Windows with what a frozen model computes of them.

    Attributes:
        items: their rows of the manifest, (n,).
        clean: bool (n,), whether a window is as it was stored; else it is recorded, as in training.
        seen: float32 (n, width), their statistics.
        own: float32 (n,), the model's own logit of spoof.
    """

    items: Sequence[Item]
    clean: Flags
    seen: Features
    own: Features
    spoof: Flags = field(init=False)
    sites: NDArray[np.str_] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spoof", np.array([item.label == SPOOF for item in self.items]))
        object.__setattr__(self, "sites", np.array([site(item) for item in self.items]))


def chosen(items: Sequence[Item]) -> list[tuple[Item, bool]]:
    """What is looked at, and whether as it is stored: dev, and modern windows to learn from; old ones are recorded."""
    learn = [item for item in items if item.split == "train"]
    modern = [item for item in learn if is_modern(item)]
    dev = [item for item in items if item.split == "dev"]
    return [
        *((item, True) for item in dev),
        *((item, True) for item in modern),
        *((item, False) for item in learn if not is_modern(item)),
    ]


@torch.inference_mode()
def heard(model: WavLMForSequenceClassification, windows: Sequence[tuple[Item, bool]], gate: float) -> Windows:
    """Runs the frozen model.

    Args:
        model: Any with the front of `voice_front`, in evaluation mode.
        windows: Rows, and whether they are taken as they are.
        gate: See `models.statistics_wavlm.speech_share`.
    """
    use_fused_attention(model)
    seen, own = [], []
    for start in range(0, len(windows), _BATCH):
        samples = torch.from_numpy(np.stack([_samples(*each) for each in windows[start : start + _BATCH]]))
        first, *others = model.wavlm.feature_extractor.conv_layers
        states = first(samples[:, None])
        spectrum = log_spectrum(states, voice_front.FILTERS)
        for layer in others:
            states = layer(states)
        front = model.wavlm.feature_projection(states.transpose(1, 2))[0]
        with torch.autocast(front.device.type, torch.bfloat16):
            last = model.wavlm.encoder(front).last_hidden_state
        last = last.float()
        logits = model.classifier(model.projector(last).mean(1))
        seen.append(statistics(front, last, spectrum, gate))
        own.append(spoof_logits(logits))
        if start % 400 == 0:
            log.info("heard %d of %d windows", start, len(windows))
    return Windows(
        [item for item, _ in windows],
        np.array([clean for _, clean in windows]),
        torch.cat(seen).numpy(),
        torch.cat(own).numpy(),
    )


def table(windows: Windows, width: int, ridge: float) -> list[str]:
    """Rows of a Markdown table: equal error rates in percent, by what is judged and by fold.

    Args:
        windows: Of `heard`.
        width: Of the model's layers, which tells the blocks of the statistics.
        ridge: Weight of the squared weights in the loss.
    """
    front, last = np.arange(2 * width), np.arange(2 * width, 4 * width)
    spectrum = np.arange(4 * width, windows.seen.shape[1])
    blocks = {
        "front": front,
        "spectrum": spectrum,
        "front and spectrum": np.concatenate([front, spectrum]),
        "front, spectrum and last layer": np.concatenate([front, last, spectrum]),
    }
    rows = [_row("the model's own score", windows, lambda _: windows.own)]
    for name, columns in blocks.items():
        rows += [
            _row(f"{name}{', added to its score' if own else ''}", windows, _fitter(windows, columns, ridge, own))
            for own in (False, True)
        ]
    return ["| judged by | " + " | ".join([*FOLDS, OLD]) + " |", "|---" * (2 + len(FOLDS)) + "|", *rows]


Fitter = Callable[[Flags], Features]
"""From the windows to learn from to scores of all, (n,)."""


def _row(name: str, windows: Windows, scores_of: Fitter) -> str:
    items = windows.items
    attack = np.array([item.attack for item in items])
    learn, dev = (np.array([item.split == split for item in items]) for split in ("train", "dev"))
    modern = np.array([is_modern(item) for item in items])
    cells = []
    for sites in FOLDS.values():
        away = np.isin(windows.sites, list(sites))
        told = away & ~np.isin(attack, sorted(NEURAL)) | dev & modern & ~windows.spoof
        cells.append(_rate(windows, scores_of(learn & ~away), told & windows.clean, attack))
    cells.append(_rate(windows, scores_of(learn), dev & ~modern & ~np.isin(attack, sorted(MODERN_FAMILIES)), attack))
    return f"| {name} | " + " | ".join(cells) + " |"


def _rate(windows: Windows, scores: Features, among: Flags, attack: NDArray[np.str_]) -> str:
    if len(set(windows.spoof[among].tolist())) < 2:
        return "-"
    rate = eer(scores[among], windows.spoof[among], family_weights(attack[among].tolist()))
    return f"{100 * rate:.1f} %"


def _fitter(windows: Windows, columns: NDArray[np.int64], ridge: float, own: bool) -> Fitter:
    def scores(learn: Flags) -> Features:
        weight, offset, share = _regression(windows, learn, columns, ridge, own=own)
        found: Features = (windows.seen[:, columns] @ weight.numpy() + share * windows.own + offset).astype(np.float32)
        return found

    return scores


def _regression(
    windows: Windows, learn: Flags, columns: NDArray[np.int64], ridge: float, *, own: bool
) -> tuple[torch.Tensor, float, float]:
    """Weights of statistics, an offset, and the share of the model's own score: the logit of spoof is their sum."""
    seen, truth = torch.from_numpy(windows.seen[learn][:, columns]), torch.from_numpy(windows.spoof[learn]).float()
    centre, spread = seen.mean(0), seen.std(0) + _STEADY
    inputs = (seen - centre) / spread
    shares = torch.from_numpy(_shares(windows, learn)).float()
    given = torch.from_numpy(windows.own[learn]) if own else torch.zeros(len(seen))
    weight = torch.zeros(len(columns), requires_grad=True)
    two = torch.tensor([1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, two], max_iter=_FIT_STEPS)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = inputs @ weight + two[0] * given + two[1]
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        total = (shares * each).mean() + ridge * weight.square().sum()
        torch.autograd.backward(total)
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    plain, (share, offset) = weight.detach() / spread, two.detach().tolist()
    return plain, offset - float(plain @ centre), share if own else 0.0


def _shares(windows: Windows, learn: Flags) -> NDArray[np.float64]:
    """Weights of the windows to learn from: both classes alike, systems and corpora by the root of their windows."""
    group = np.array([f"{item.source} {item.attack}" if item.attack != NO_ATTACK else corpus(item.subject)
                      for item in windows.items])  # fmt: skip
    shares = np.zeros(len(windows.items))
    for side in (False, True):
        members = learn & (windows.spoof == side)
        for name in set(group[members].tolist()):
            of_group = members & (group == name)
            shares[of_group] = of_group.sum() ** -0.5
        shares[members] /= shares[members].sum()
    return np.asarray(shares[learn] / shares[learn].mean())


def with_regression(model: WavLMForSequenceClassification, windows: Windows, ridge: float) -> WavLMForStatistics:
    """The model with a head that adds a regression on the statistics to its own score, fitted to the train split.

    Args:
        model: What the windows were heard by, without a gate.
        windows: Of `heard`.
        ridge: Weight of the squared weights in the loss.
    """
    learn = np.array([item.split == "train" for item in windows.items])
    columns = np.arange(windows.seen.shape[1])
    weight, offset, share = _regression(windows, learn, columns, ridge, own=True)
    config = model.config.to_dict() | {"spectral_filters": voice_front.FILTERS, "silence_gate": 0.0}
    made = WavLMForStatistics(WavLMConfig(**config))
    made.wavlm.load_state_dict(model.wavlm.state_dict())
    own, fixed = voice_head.own_score(model, len(columns))
    total = weight + share * own
    with torch.no_grad():
        spread = torch.from_numpy(windows.seen[learn].std(0)) + _STEADY
        centre = torch.from_numpy(windows.seen[learn].mean(0))
        made.get_buffer("centre").copy_(centre)
        made.get_buffer("spread").copy_(spread)
        made.projector.weight.zero_()
        made.classifier.weight.zero_()
        voice_head.write(made, total * spread, offset + share * fixed + total @ centre)
    made.train(False)
    return made


def is_modern(item: Item) -> bool:
    """Whether it is from the page of a modern system, or real speech of the same corpora."""
    return item.source.startswith("github:")


def site(item: Item) -> str:
    """The last part of its source: `e1tts.github.io`."""
    return item.source.split("/")[-1]


def _samples(item: Item, clean: bool) -> Features:
    samples = load(item.path)
    if not clean:
        samples = vary(samples, np.random.default_rng(zlib.crc32(str(item.path).encode())))[0]
    return normalise(samples)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.voice_probe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = data_dir() / "voice" / "manifest.jsonl"
    parser.add_argument("--model", type=Path, required=True, help="folder of a WavLM with an averaging head")
    parser.add_argument("--data", type=Path, default=default, help="manifest (%(default)s)")
    parser.add_argument(
        "--gate", type=float, default=0.0, help="share of the loud parts that counts a half (%(default)s)"
    )
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="of the model with the regression as its head")
    parser.add_argument("--ridge", type=float, default=0.03, help="of the regression (%(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    model = WavLMForSequenceClassification.from_pretrained(arguments.model, dtype=torch.float32)
    model.train(False)
    windows = heard(model, chosen(manifest.read(arguments.data)), arguments.gate)
    if arguments.write:
        voice_model.save(with_regression(model, windows, arguments.ridge), arguments.write)
    print("\n".join(table(windows, model.config.hidden_size, arguments.ridge)))  # noqa: T201  # the output


if __name__ == "__main__":
    main()

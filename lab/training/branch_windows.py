"""The windows that branches learn from and are looked at with, and what branches and the earlier model find in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from lab.resumed import begun_before, digest_of
from lab.training import branch_teaching, plc_mos, voice_model, voice_recordings
from lab.training.branch_teaching import Copying
from lab.training.branches import Branches, even
from lab.training.compiled import compiled
from lab.training.data import manifest
from lab.training.data.manifest import NO_ATTACK, Item
from lab.training.data.voice_audio import load
from lab.training.voice_probe import is_modern
from lab.training.voice_windows import normalise, spoof_logits
from models.atomic import atomic
from models.branch import Branch
from models.graph import use_fused_attention
from models.power_branch import PowerBranch
from models.spectral_branch import SpectralBranch
from models.statistics_wavlm import WavLMForStatistics

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


def recorded(
    settings: dict[str, Any], items: Sequence[Item], folder: Path, convolutions: Path | None = None
) -> Recorded:
    """Records training windows and makes the branches, or opens what a run before left.

    Args:
        settings: the settings file as a mapping.
        items: the manifest's.
        folder: for windows, maps, averages and the branches.
        convolutions: folder of a model with branches, whose convolutions are taken instead of taught.

    Raises:
        ValueError: what a run before left there is of other settings, windows or convolutions.
    """
    train = [item for item in items if item.split == "train"]
    plan = settings["recording"]
    taken_from = b"" if convolutions is None else (convolutions / "model.safetensors").read_bytes()
    begun_before(
        folder,
        {
            "data": manifest.digest(train),
            "convolutions": digest_of(taken_from),
            "settings": {name: settings[name] for name in ("seed", "channels", "teaching")} | {"fours": plan["fours"]},
        },
    )
    windows, numbers = voice_recordings.write(
        train, plan["fours"], settings["seed"], plan["workers"], folder / "windows.npy"
    )
    calls = voice_recordings.write_calls(windows, settings["seed"], plan["workers"], folder / "calls.npy")

    def taken(name: str) -> Branch | None:
        return cast("Branch", voice_model.load(convolutions).branches[name]) if convolutions else None

    def taught() -> Branch:
        maps = branch_teaching.maps_of(windows, folder / "maps.npy")
        copying = Copying(channels=settings["channels"], seed=settings["seed"], **settings["teaching"])
        return branch_teaching.taught(windows, maps, copying)

    branches = Branches(
        {
            "spectral_branch": _kept(
                lambda: taken("spectral_branch") or taught(),
                SpectralBranch(settings["channels"]),
                windows,
                folder / "spectral.pt",
            ),
            "power_branch": _kept(
                lambda: taken("power_branch") or plc_mos.branch(),
                PowerBranch(plc_mos.CHANNELS),
                windows,
                folder / "power.pt",
            ),
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
        with atomic(file) as fresh:
            torch.save({name: each.half() for name, each in made.state_dict().items()}, fresh)
    empty.load_state_dict({name: each.float() for name, each in torch.load(file, weights_only=True).items()})
    return empty.train(False)


def _kept_averages(branches: Branches, windows: NDArray[np.int16], file: Path) -> Floats:
    if not file.exists():
        with atomic(file) as fresh:
            np.save(fresh, branches.averages(windows))
    found: Floats = np.load(file)
    if found.shape != (len(windows), branches.width):
        raise ValueError(f"{file} has averages of other windows or branches, of shape {found.shape}: remove it")
    return found


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
    return Shown(chosen, own_logits(first, samples), branches.averages(samples))


def own_logits(model: WavLMForStatistics, samples: Floats) -> Floats:
    """What a model makes of normalised windows, float32 (n, samples) -> logits of spoof, (n,)."""
    use_fused_attention(model)
    return compiled(lambda batch: spoof_logits(model(batch).logits), model, samples.shape[1])(samples)

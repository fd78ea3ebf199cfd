"""The windows that branches learn from: what is kept between runs, and what is seen of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.training import branch_teaching, distill_mos, plc_mos, voice_model, voice_recordings
from lab.training.branch_windows import Recorded, recorded, shown
from lab.training.data import manifest
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW, save
from models.power_branch import PowerBranch
from models.spectral_branch import convolutions
from tests.lab.training.small_voice import MODEL

CHANNELS = (3, 3, 4)
SETTINGS: dict[str, Any] = {
    "seed": 1,
    "channels": [3, 3, 3, 3, 3, 4],
    "recording": {"fours": 2, "workers": 0},
    "teaching": {"steps": 2, "batch": 4, "crop_frames": 25, "learning_rate": 1e-3},
}


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Both splits: noise of a person, a rougher copy of it, a voice that hums."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    made = []
    for side in ("train", "dev"):
        noise = rng.normal(0, 0.1, WINDOW)
        hum = 0.3 * np.sin(np.arange(WINDOW) * 0.1) + rng.normal(0, 0.01, WINDOW)
        for attack, subject, samples in (("-", "a", noise), ("lpc", "a", np.round(noise, 1)), ("espeak", "v", hum)):
            path = folder / side / attack / f"{side}{subject}" / "0000.wav"
            save(np.asarray(samples, np.float32), path)
            label = "bonafide" if attack == "-" else "spoof"
            made.append(Item(path, label, f"{side}{subject}", "s", "l", attack, side))  # type: ignore[arg-type]
    manifest.write(made, folder / "manifest.jsonl")
    return manifest.read(folder / "manifest.jsonl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def heard(items: list[Item], folder: Path) -> Recorded:
    torch.manual_seed(0)
    network = convolutions((6, 6, 6, 6, 6, 4), (1, 1, 1, 1, 1, 2)).requires_grad_(False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(distill_mos, "network", lambda: network)
        patched.setattr(branch_teaching, "_HELD_OUT", 2)
        patched.setattr(plc_mos, "CHANNELS", CHANNELS)
        patched.setattr(plc_mos, "branch", lambda: PowerBranch(CHANNELS).train(False))
        patched.setattr(voice_recordings, "call", lambda samples, rng: np.round(samples, 2))
        before = recorded(SETTINGS, items, folder)
        # Nothing is fetched, recorded or taught again.
        for module, name in ((distill_mos, "network"), (plc_mos, "branch"), (voice_recordings, "call")):
            patched.setattr(module, name, None)
        again = recorded(SETTINGS, items, folder)
    np.testing.assert_array_equal(before.averages, again.averages)
    return again


def test_a_window_and_its_call_are_of_one_item(heard: Recorded) -> None:
    half = len(heard.windows)
    assert heard.calls.shape == heard.windows.shape
    assert len(heard.averages) == len(heard.items) == 2 * half
    assert heard.items[:half] == heard.items[half:]
    assert not np.array_equal(heard.averages[:half], heard.averages[half:])


@pytest.mark.parametrize(
    ("change", "told"), [({"seed": 2}, "settings"), ({"teaching": {"steps": 3}}, "settings"), ({}, "data")]
)
def test_windows_of_another_draw_are_refused(
    change: dict[str, Any], told: str, items: list[Item], heard: Recorded, folder: Path
) -> None:
    others = items if change else items[1:]
    with pytest.raises(ValueError, match=f"another {told}"):
        recorded(SETTINGS | change, others, folder)


def test_averages_of_other_branches_are_refused(items: list[Item], heard: Recorded, folder: Path) -> None:
    np.save(folder / "averages.npy", heard.averages[: len(heard.windows), 1:])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plc_mos, "CHANNELS", CHANNELS)
        with pytest.raises(ValueError, match="remove it"):
            recorded(SETTINGS, items, folder)


def test_convolutions_of_a_model_are_taken_instead_of_taught(
    items: list[Item], heard: Recorded, folder: Path, tmp_path: Path
) -> None:
    sizes = {"spectral_branch_channels": SETTINGS["channels"], "power_branch_channels": list(CHANNELS)}
    given = voice_model.build(MODEL | sizes, seed=3)
    voice_model.save(given, tmp_path / "given")
    for name in ("windows.npy", "calls.npy"):
        (tmp_path / name).hardlink_to(folder / name)
    for name, rows in zip(("averages.npy", "call_averages.npy"), np.split(heard.averages, 2), strict=True):
        np.save(tmp_path / name, rows)  # not the subject here, and of the same sizes
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plc_mos, "CHANNELS", CHANNELS)
        for module, name in ((distill_mos, "network"), (plc_mos, "branch")):
            patched.setattr(module, name, None)  # nothing is taught or fetched
        found = recorded(SETTINGS, items, tmp_path, tmp_path / "given").branches
    for name, branch in found.named.items():
        first = next(layer for layer in branch.modules() if isinstance(layer, torch.nn.Conv2d))
        same = next(layer for layer in given.branches[name].modules() if isinstance(layer, torch.nn.Conv2d))
        torch.testing.assert_close(first.weight, same.weight, atol=1e-3, rtol=1e-2)


def test_windows_of_the_development_split_are_shown_as_they_lie_there(items: list[Item], heard: Recorded) -> None:
    model = voice_model.build(MODEL, seed=0)
    model.train(False)
    windows = shown(model, heard.branches, items)
    assert [item.split for item in windows.items] == ["dev"] * 3
    assert windows.real.tolist() == [item.attack == "-" for item in windows.items]
    assert windows.averages.shape == (3, heard.branches.width)
    assert np.isfinite(windows.own).all()

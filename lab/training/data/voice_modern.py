"""Modern synthesis and real speech of the same corpora: clips of a folder outside the repository, to 4 s windows.

The folder is named by `BONAFIDE_SPEECH_DIR`; its `manifest.jsonl` is of the project's own kind, and its audio comes
from the demonstration pages of public repositories (listed in docs/training-voice.md). The split is by site, and with
it by system, and by speaker: a voice of the test sites is in no other split, whether real, cloned or trained upon.
"""

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lab.line.samples import RATE, Samples
from lab.training.data import manifest
from lab.training.data.manifest import BONAFIDE, Item, Split
from lab.training.data.voice_audio import WINDOW, decode, save, trim

TEST_SITES = frozenset(
    {
        "github:gemelo-ai/vocos",
        "github:maum-ai/univnet",
        "github:rhasspy/larynx",
        "github:yistLin/FragmentVC",
        "github:ming024/FastSpeech2",
        "github:keonlee9420/Comprehensive-Transformer-TTS",
    }
)
"""Their 12 systems are in the test split alone."""
REAL_ONLY = "github:resemble-ai/Resemblyzer"
"""LibriSpeech without any synthesis: split by speaker."""
COMMON_VOICE_OF_SITES = "LJ"
"""Half of all sites trained on this one voice, so it is trained on. Spoofs of it at the test sites are left out."""

_TEST_TENTHS, _DEV_TENTHS = 3, 2
_ALIASES = {"gilles_g_le_blanc": "gilles_le_blanc"}
_SYSTEMS = {"AdaIN": "fragvc-adain", "AutoVC": "fragvc-autovc"}
_LEAST_SPEECH = RATE // 2


class NoSpeechFolder(RuntimeError):
    """The folder of modern synthesis is not named, or holds no manifest."""


def speech_dir() -> Path:
    """The folder that `BONAFIDE_SPEECH_DIR` names.

    Raises:
        NoSpeechFolder: it is not set, or holds no `manifest.jsonl`.
    """
    named = os.environ.get("BONAFIDE_SPEECH_DIR", "")
    if not named or not (Path(named) / "manifest.jsonl").is_file():
        raise NoSpeechFolder(
            "BONAFIDE_SPEECH_DIR must name a folder with clips of modern synthesis and their manifest.jsonl; "
            "docs/training-voice.md lists where they came from"
        )
    return Path(named)


def modern_items(folder: Path) -> list[Item]:
    """The clips that are used, with their split and their system.

    Args:
        folder: see `speech_dir`; the splits in its manifest are not used.
    """
    clips = manifest.read(folder / "manifest.jsonl")
    tested = {person(clip.subject) for clip in clips if clip.source in TEST_SITES} - {COMMON_VOICE_OF_SITES}
    placed = (_placed(clip, tested) for clip in clips)
    return [clip for clip in placed if clip is not None]


def person(subject: str) -> str:
    """Who speaks, or whose voice is imitated, under one name on all sites."""
    name = subject.removeprefix("synthetic-")
    if not name.startswith(("mimic3-", "larynx-")):
        return name.removeprefix("ARCTIC-")
    if "thorsten" in name:
        return "thorsten"
    *path, last = name.split("/")
    voice = re.sub(r"^(sample_)?(cmu_(?!indic))?|-glow_tts$", "", last)
    voice = path[-1].removesuffix("_low") if voice == "sample" else voice
    voice = voice.replace("-", "_")
    return _ALIASES.get(voice, voice)


def _placed(clip: Item, tested: set[str]) -> Item | None:
    """The clip with its split; None: it would connect two splits."""
    who = person(clip.subject)
    if clip.source in TEST_SITES:
        if who == COMMON_VOICE_OF_SITES:
            # The voice is known, these recordings are not: a subject of its own, so that it is told apart.
            return replace(clip, split="test", subject=f"{who} (test sites)") if clip.label == BONAFIDE else None
        return replace(clip, split="test", attack=_system(clip))
    if who in tested:
        return None
    split: Split = _by_speaker(who) if clip.source == REAL_ONLY else "train"
    return replace(clip, split=split)


def _system(clip: Item) -> str:
    """One name for each system of a page that compares three of them."""
    if clip.attack != "fragvc-fragmentvc-adain-autovc":
        return clip.attack
    return _SYSTEMS.get(Path(clip.detail).name.split("_")[0], "fragvc-fragmentvc")


def _by_speaker(who: str) -> Split:
    tenth = zlib.crc32(who.encode()) % 10
    return "test" if tenth < _TEST_TENTHS else "dev" if tenth < _TEST_TENTHS + _DEV_TENTHS else "train"


def write_windows(items: Sequence[Item], root: Path) -> list[Item]:
    """Writes one dry window of each clip; clips without half a second of speech are left out.

    Args:
        items: of `modern_items`.
        root: Below it lies `modern/<split>/<site>/<class>/<clip>.wav`.

    Returns:
        The windows, and the clips of the test split as they are: those are judged as the service reads them.
    """
    made = []
    for item in items:
        if item.split == "test":
            made.append(item)
            continue
        site = item.source.split("/")[-1]
        path = root / "modern" / item.split / site / item.label / f"{item.path.stem}.wav"
        if not path.exists():
            clip = decode(item.path)
            if len(trim(clip)) < _LEAST_SPEECH:
                continue
            save(one_window(clip), path)
        made.append(replace(item, path=path))
    return made


def one_window(clip: Samples) -> Samples:
    """The middle 4 s, or the whole repeated to as much: float32 (samples,) -> (64000,), at about -23 dB."""
    start = max(0, (len(clip) - WINDOW) // 2)
    window = np.resize(clip[start : start + WINDOW], WINDOW)
    return np.asarray(np.clip(window * (0.07 / np.sqrt((window**2).mean() + 1e-12)), -1, 1), np.float32)

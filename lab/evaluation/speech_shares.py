"""Share of windows with too little speech to be judged: `python -m lab.evaluation.speech_shares DATA ...`.

A manifest's bona fide recordings by source, any folder of recordings, and synthetic noises in; a Markdown table out.
The default of BONAFIDE_MIN_SPEECH_RATIO is based on it.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from lab.arguments import run
from lab.evaluation.datasets import read_dataset
from lab.evaluation.progress import progress
from lab.evaluation.scoring import Part, read_ahead
from lab.evaluation.trials import AUDIO_SUFFIXES, DataError
from lab.served import MediaReader, speech_ratios
from models.configured import load_options, settings_for
from models.preprocessing import SAMPLE_RATE
from models.speech import VoiceActivityDetector

RATIOS = (0.02, 0.05, 0.1, 0.25)


def files(data: Path) -> Iterator[tuple[str, Path]]:
    """Source and path of each recording: of a manifest the bona fide ones, else all below a folder.

    Raises:
        DataError: it is neither, or its files do not exist.
    """
    if data.suffix == ".jsonl" and data.is_file():
        yield from ((trial.source, trial.path) for trial in read_dataset(data).trials if not trial.spoof)
    elif data.is_dir():
        paths = (path for path in sorted(data.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES)
        yield from ((data.name, path) for path in paths)
    else:
        raise DataError(f"{data} is neither a manifest (.jsonl) nor a folder of recordings")


def noises(samples: int = 4 * SAMPLE_RATE) -> list[NDArray[np.int16]]:
    """Sounds that are no speech, each at three levels: noises, hum, tones, clicks; and silence."""
    random = np.random.default_rng(0)
    time = np.arange(samples) / SAMPLE_RATE
    white = random.normal(size=samples)
    pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.maximum(1, np.arange(samples // 2 + 1))), samples)
    sounds = (
        white,
        pink,
        np.cumsum(white) - np.cumsum(white).mean(),
        sum(np.sin(2 * np.pi * 50 * harmonic * time) / harmonic for harmonic in range(1, 9)),
        np.sin(2 * np.pi * 425 * time) * (time % 2 < 1),
        (np.sin(2 * np.pi * 697 * time) + np.sin(2 * np.pi * 1209 * time)) * (time % 0.4 < 0.2),
        np.sin(2 * np.pi * (100 + 500 * time) * time),
        (random.random(samples) < 0.001).astype(np.float64),
    )
    loud = [sound / np.abs(sound).max() * level * 32767 for sound in sounds for level in (0.003, 0.03, 0.3)]
    return [sound.astype(np.int16) for sound in (*loud, np.zeros(samples))]


def table(ratios: dict[str, list[float]]) -> str:
    """A row for each source: windows, and the share of them that has less speech than each ratio."""
    lines = [
        "| recordings | windows | " + " | ".join(f"below {ratio:g}" for ratio in RATIOS) + " |",
        "|---" * (2 + len(RATIOS)) + "|",
    ]
    for source, found in ratios.items():
        cells = [f"{100 * np.mean(np.asarray(found) < ratio):.1f} %" if found else "-" for ratio in RATIOS]
        lines.append(f"| {source} | {len(found)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure(data: Sequence[Path], speech: VoiceActivityDetector) -> dict[str, list[float]]:
    """Speech ratios of all windows, by source."""
    read = MediaReader(settings_for("voice")).read
    found: dict[str, list[float]] = defaultdict(list)
    for each in data:
        recordings = list(files(each))
        with progress(str(each), len(recordings)) as advanced:
            parts = read_ahead((path for _, path in recordings), read, threads=1)
            for (source, _), file in zip(recordings, parts, strict=True):  # of one that is unreadable, no windows
                found[source] += speech_ratios(speech, file.parts)
                advanced(1)
        if each.suffix == ".jsonl":
            found["all of these"] = [ratio for source in dict(recordings) for ratio in found[source]]
    found["made-up noises and silence"] = speech_ratios(speech, [Part(sound, 4.0) for sound in noises()])
    return dict(found)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.evaluation.speech_shares", description=__doc__)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="a manifest (.jsonl), or a folder")
    arguments = parser.parse_args(argv)

    def command() -> None:
        speech = VoiceActivityDetector.load(load_options("voice", settings_for("voice")))
        Console().print(table(measure(arguments.data, speech)), markup=False, highlight=False, soft_wrap=True)

    run(command)


if __name__ == "__main__":
    main()

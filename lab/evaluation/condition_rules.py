"""What the conditions of `audio.conditions` find: `python -m lab.evaluation.condition_rules --data DATA --split dev`.

Each recording is measured as it is, through the conditions of the line, quieter, and clipped. A Markdown table out: the
share of recordings in which each condition is told, and the middle and the outer values of what it is told by.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from bonafide.audio.conditions import CODEC, CONDITIONS, LITTLE_SPEECH, MUSIC, ConditionMeter, Measures
from bonafide.audio.levels import model_input
from bonafide.audio.reader import WINDOW_SECONDS, AudioLimits
from bonafide.audio.windows import WindowCutter
from bonafide.errors import BonafideError
from lab.arguments import positive, run
from lab.evaluation.datasets import read_dataset, sample
from lab.evaluation.progress import progress
from lab.evaluation.trials import chosen_split
from lab.line.conditions import Condition, Sound, conditions
from lab.line.recording import decoded
from lab.line.samples import RATE, Samples
from models.configured import settings_for

_TOLD = tuple(name for name in CONDITIONS if name not in (LITTLE_SPEECH, CODEC, MUSIC))
"""Not what rests on other tables: `speech_seconds`, `lab.music`."""
_QUANTILES = (5, 50, 95)


@dataclass
class Row:
    """Of one degradation.

    Attributes:
        name: what was done.
        told: conditions of each recording.
        measures: of each recording.
    """

    name: str
    told: list[tuple[str, ...]] = field(default_factory=list)
    measures: list[Measures] = field(default_factory=list)


def measured(sound: Sound) -> ConditionMeter:
    """A meter that has heard a whole recording in windows."""
    meter = ConditionMeter()
    cutter = WindowCutter(sound.rate, WINDOW_SECONDS)
    cuts = cutter.feed(sound.samples)
    if (last := cutter.flush()) is not None:
        cuts.append(last)
    for cut in cuts:
        meter.add(cut.samples[-cut.fresh :], sound.rate, model_input(cut.samples, sound.rate))
    return meter


def degradations() -> Iterator[tuple[str, Callable[[Samples, np.random.Generator], Sound]]]:
    """What is done to a recording, by name."""

    def quieter(by_db: float) -> Callable[[Samples, np.random.Generator], Sound]:
        return lambda samples, rng: Sound((samples * np.float32(10 ** (-by_db / 20))).astype(np.float32), RATE)

    def louder(samples: Samples, rng: np.random.Generator) -> Sound:
        return Sound((samples / max(1e-4, float(np.sqrt(np.mean(samples**2))))).clip(-1, 1), RATE)

    for condition in conditions():
        if not condition.missing():
            yield condition.name, _degraded(condition)
    yield "20 dB quieter", quieter(20)
    yield "40 dB quieter", quieter(40)
    yield "clipped: RMS at full scale", louder


def _degraded(condition: Condition) -> Callable[[Samples, np.random.Generator], Sound]:
    degrade = condition.degrade
    return (lambda samples, rng: Sound(samples, RATE)) if degrade is None else degrade


def table(rows: Sequence[Row]) -> str:
    """A row for each degradation."""
    columns = (*_TOLD, *(f"{name} ({', '.join(f'{each} %' for each in _QUANTILES)})" for name in Measures._fields))
    lines = ["| recordings | number | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|"]
    for row in rows:
        shares = [f"{100 * np.mean([name in told for told in row.told]):.1f} %" for name in _TOLD]
        values = []
        for index in range(len(Measures._fields)):
            known = [value for each in row.measures if (value := each[index]) is not None]
            values.append(", ".join(f"{value:.0f}" for value in np.percentile(known, _QUANTILES)) if known else "-")
        lines.append(f"| {row.name} | {len(row.told)} | " + " | ".join([*shares, *values]) + " |")
    return "\n".join(lines)


def measure(recordings: Sequence[Path], limits: AudioLimits) -> list[Row]:
    """All rows."""
    known = list(degradations())
    rows = [Row(name) for name, _ in known]
    with progress("recordings", len(recordings)) as advanced:
        for number, path in enumerate(recordings):
            advanced(1)
            try:
                samples = decoded(path.read_bytes(), limits)
            except BonafideError:
                continue
            for row, (_, degrade) in zip(rows, known, strict=True):
                meter = measured(degrade(samples, np.random.default_rng(number)))
                row.told.append(meter.names())
                row.measures.append(meter.measures)
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.evaluation.condition_rules", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DATA", help="as of `python -m lab.evaluate`")
    parser.add_argument("--split", metavar="NAME", help="part of the data")
    parser.add_argument("--limit", type=positive, metavar="N", help="measure a random sample, the same every time")
    parser.add_argument("--source", default="", metavar="TEXT", help="only of sources whose names begin so")
    arguments = parser.parse_args(argv)

    def command() -> None:
        dataset = sample(chosen_split(read_dataset(arguments.data, None), arguments.split), arguments.limit)
        found = [each for each in dataset.trials if not each.spoof and each.source.startswith(arguments.source)]
        limits = AudioLimits.from_settings(settings_for("voice"))
        rows = measure([each.path for each in found], limits)
        Console().print(table(rows), markup=False, highlight=False, soft_wrap=True)

    run(command)


if __name__ == "__main__":
    main()

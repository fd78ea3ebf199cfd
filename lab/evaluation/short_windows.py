"""Comparison of ways to present short windows to a voice model: `python -m lab.evaluation.short_windows --help`.

The middle of each labelled window, cut to so many seconds, is given to the model as it is, repeated to a full window,
and followed by silence. Data in, a Markdown table out. `VoicePreparation.repeat_short` rests on it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from lab.arguments import REFERENCES, amount, new_parser, overrides, positive, run
from lab.evaluation.datasets import read_dataset, sample
from lab.evaluation.progress import progress
from lab.evaluation.report import ScoredTrials, group
from lab.evaluation.scoring import read_ahead
from lab.evaluation.trials import DataError, Trial, chosen_split
from lab.served import ServedModel
from models.configured import load_options, settings_for
from models.info import ModelInfo
from models.preprocessing import SAMPLE_RATE
from models.speech import VoiceActivityDetector
from models.voice_model import WINDOW_SAMPLES

Samples = NDArray[np.int16]
PRESENTATIONS: Mapping[str, Callable[[Samples], Samples]] = {
    "as it is": lambda samples: samples,
    "repeated": lambda samples: np.resize(samples, WINDOW_SAMPLES),
    "followed by silence": lambda samples: np.pad(samples, (0, WINDOW_SAMPLES - len(samples))),
}
_FULL_S = WINDOW_SAMPLES / SAMPLE_RATE
_GROUP = 32
_EPILOG = """\
example:
  python -m lab.evaluation.short_windows --model bundled --data manifest.jsonl --split dev
"""


def middle(window: Samples, seconds: float) -> Samples:
    """The middle `seconds` of a window."""
    count = round(seconds * SAMPLE_RATE)
    first = (len(window) - count) // 2
    return window[first : first + count]


def full_windows(trials: Sequence[Trial], served: ServedModel) -> Iterator[tuple[Trial, Samples]]:
    """The windows of all recordings that are not padded."""
    with progress("reading", len(trials)) as advanced:
        for trial, file in zip(trials, read_ahead([trial.path for trial in trials], served.read, 2), strict=True):
            yield from ((trial, part.array) for part in file.parts if part.seconds >= _FULL_S)
            advanced(1)


def judged(
    windows: Sequence[tuple[Trial, Samples]], seconds: float, served: ServedModel, speech: VoiceActivityDetector
) -> tuple[list[Trial], dict[str, list[float]]]:
    """Trials and scores, by presentation, of windows with speech in the middle."""
    kept: list[Trial] = []
    scores: dict[str, list[float]] = {name: [] for name in PRESENTATIONS}
    with progress(f"scoring {seconds:g} s", len(windows)) as advanced:
        for first in range(0, len(windows), _GROUP):
            some = windows[first : first + _GROUP]
            short = [middle(window, seconds) for _, window in some]
            spoken = [served.has_speech(share) for share in speech.speech_ratios(short).tolist()]
            kept += [trial for (trial, _), speaks in zip(some, spoken, strict=True) if speaks]
            short = [samples for samples, speaks in zip(short, spoken, strict=True) if speaks]
            for name, present in PRESENTATIONS.items():
                given: list[Any] = [present(samples) for samples in short]
                scores[name] += served.detector.score(given).tolist()
            advanced(len(some))
    return kept, scores


def rows(
    windows: Sequence[tuple[Trial, Samples]],
    lengths: Sequence[float],
    served: ServedModel,
    speech: VoiceActivityDetector,
    rounds: int,
) -> list[str]:
    """A line of the table for each length and presentation; a full window has only one."""
    threshold, _ = served.threshold
    lines = []
    for seconds in lengths:
        trials, scores = judged(windows, seconds, served, speech)
        if len({trial.spoof for trial in trials}) < 2:
            raise DataError(f"no windows of both classes in whose middle {seconds:g} s somebody speaks")
        for name in PRESENTATIONS if seconds < _FULL_S else ("as it is",):
            figures = group(ScoredTrials.of(trials, scores[name]), threshold, rounds=rounds, balanced=True)
            cells = [f"{100 * figures['eer'][key]:.1f}" for key in ("value", "low", "high")]
            rates = [f"{100 * figures[key]['value']:.1f} %" for key in ("apcer", "bpcer")]
            lines.append(
                f"| {seconds:g} s | {name} | {figures['bonafide']} + {figures['spoof']} "
                f"| {cells[0]} % ({cells[1]}-{cells[2]}) | {' | '.join(rates)} |"
            )
    return lines


def table(info: ModelInfo, lines: Sequence[str]) -> str:
    """With the model's name and version in its head."""
    head = f"{info.name} {info.version}"
    columns = (head, "presented", "bona fide + spoofed", "EER (95 % interval)", "missed at the threshold", "refused")
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines])


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = new_parser("lab.evaluation.short_windows", __doc__ or "", _EPILOG)
    parser.add_argument("--model", required=True, metavar="REF", help=REFERENCES)
    parser.add_argument("--data", required=True, type=Path, metavar="DATA", help="as of lab.evaluate")
    parser.add_argument("--split", default="dev", metavar="NAME", help="part of the data (%(default)s)")
    parser.add_argument("--limit", type=positive, metavar="N", help="judge a random sample, the same every time")
    parser.add_argument("--seconds", nargs="+", type=amount, default=(1.0, 2.0, 4.0), metavar="S")
    parser.add_argument("--rounds", type=positive, default=1000, metavar="N", help="of the bootstrap (%(default)s)")
    arguments = parser.parse_args(argv)

    def command() -> None:
        if not all(0 < seconds <= _FULL_S for seconds in arguments.seconds):
            raise DataError(f"--seconds lie above 0, and at {_FULL_S:g} at most")
        dataset = sample(chosen_split(read_dataset(arguments.data, None), arguments.split), arguments.limit)
        settings = settings_for("voice", **overrides(arguments))
        served = ServedModel(arguments.model, "voice", settings)
        speech = VoiceActivityDetector.load(load_options("voice", settings))
        windows = list(full_windows(dataset.trials, served))
        lines = rows(windows, arguments.seconds, served, speech, arguments.rounds)
        Console().print(table(served.info, lines), markup=False, highlight=False, soft_wrap=True)

    run(command)


if __name__ == "__main__":
    main()

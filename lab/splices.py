"""Measures how well suspicious stretches find spoofed seconds: `python -m lab.splices --model REF --data DATA`.

Bona fide recordings with a spoofed part at a known place are made of labelled files and judged as by the service, once
for each hop. A Markdown table out: precision and recall, and what an hour of audio costs.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bonafide.audio.reader import AudioLimits
from bonafide.errors import BonafideError
from lab.arguments import amount, new_parser, overrides, run, seed
from lab.evaluate import add_data_options, hop, read_trials
from lab.evaluation.progress import progress
from lab.evaluation.scoring import Unreadable
from lab.evaluation.trials import DataError
from lab.line.conditions import Sound
from lab.line.recording import as_wav, decoded
from lab.line.samples import RATE, Samples
from lab.served import ServedModel
from lab.splicing.found import HEADINGS, Found
from lab.splicing.recordings import Spliced, splice
from models.configured import settings_for

_MOST_S = 600.0
_EPILOG = """\
The bona fide files of a person are joined to recordings of --seconds; each is judged as it is, and with a part of it
replaced by spoofed seconds, of the same person where the data have such files, as loud as what was there. DATA is what
`python -m lab.evaluate` takes. Costs are processor time (user and system) of reading and scoring, on this machine.

example:
  python -m lab.splices --model bundled --data manifest.jsonl --split dev --hops 4,2,1,0.5
"""


@dataclass
class Outcome:
    """One hop's.

    Attributes:
        hop_s: seconds between the starts of two windows.
        found: in all recordings.
        by_length: the same by seconds of the spoofed part, in the order of the options.
        windows: that were scored.
        audio_s: seconds of all recordings.
        processor_s: of reading and scoring them.
    """

    hop_s: float
    found: Found = field(default_factory=Found)
    by_length: dict[float, Found] = field(default_factory=dict)
    windows: int = 0
    audio_s: float = 0.0
    processor_s: float = 0.0


def measure(arguments: argparse.Namespace) -> tuple[str, list[Spliced], list[Outcome]]:
    """Makes the recordings, and judges them with each hop.

    Returns:
        What judged them, the recordings, and an outcome for each hop.

    Raises:
        DataError: the data give no recording.
        ModelError: the model cannot be served.
    """
    dataset, task = read_trials(arguments, usual_split="dev")
    if task != "voice":
        raise DataError("spoofed seconds are spliced into voices; these are photos")
    settings = settings_for(task, **overrides(arguments))
    limits = AudioLimits.from_settings(settings)
    served = ServedModel(arguments.model, task, settings)

    def read(path: Path) -> Samples | None:
        try:
            return decoded(path.read_bytes(), limits)
        except BonafideError:
            return None

    recordings = splice(dataset.trials, read, seconds=arguments.seconds, parts_s=arguments.parts, seed=arguments.seed)
    if not recordings:
        raise DataError(f"no person has {arguments.seconds:g} s of bona fide audio here; see --seconds")
    served.judge_bytes(as_wav(Sound(recordings[0].samples, RATE)))  # what only a first call costs counts for no hop
    outcomes = []
    for hop_s in arguments.hops:
        outcome = Outcome(hop_s, by_length={length: Found() for length in arguments.parts})
        with progress(f"hop {hop_s:g} s", len(recordings)) as advanced:
            for recording in recordings:
                _judge(recording, served.every(hop_s), outcome)
                advanced(1)
        outcomes.append(outcome)
    info = served.info
    return f"{info.name} {info.version} on {info.engine} in {info.precision}", recordings, outcomes


def _judge(recording: Spliced, served: ServedModel, outcome: Outcome) -> None:
    data = as_wav(Sound(recording.samples, RATE))
    began_s = time.process_time()
    try:
        scored = served.judge_bytes(data)
    except Unreadable as error:
        raise DataError(f"a recording of {recording.subject} is refused: {error}") from error
    outcome.processor_s += time.process_time() - began_s
    outcome.windows += len(scored.scores)
    outcome.audio_s += recording.seconds
    stretches = served.stretches(scored)
    outcome.found.add(recording, stretches)
    if recording.end_s:
        length = round(recording.end_s - recording.start_s, 3)
        outcome.by_length[min(outcome.by_length, key=lambda each: abs(each - length))].add(recording, stretches)


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for each hop, then for each length of spoofed parts."""
    plain = outcomes[0]
    lines = [
        "| hop | " + " | ".join(HEADINGS) + " | windows | processor time per hour of audio | times the first hop |",
        "|---" * (len(HEADINGS) + 4) + "|",
    ]
    for each in outcomes:
        per_hour, first = (one.processor_s * 3600 / one.audio_s for one in (each, plain))
        cells = [
            f"{each.hop_s:g} s",
            *each.found.cells,
            str(each.windows),
            f"{per_hour:.0f} s",
            f"{per_hour / first:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lengths = list(plain.by_length)
    lines += [
        "",
        "| hop | " + " | ".join(f"parts of {length:g} s found" for length in lengths) + " |",
        "|---" * (len(lengths) + 1) + "|",
    ]
    for each in outcomes:
        cells = [
            f"{found.parts_found} of {found.parts}, {found.share(found.right_s, found.spoofed_s)} of their seconds"
            for found in each.by_length.values()
        ]
        lines.append(f"| {each.hop_s:g} s | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _lengths(text: str) -> tuple[float, ...]:
    found = tuple(float(each) for each in text.split(","))
    if not found or not all(0.1 <= each <= _MOST_S for each in found):
        raise argparse.ArgumentTypeError("seconds of at least 0.1, like 1,2,4")
    return found


def _hops(text: str) -> tuple[float, ...]:
    return tuple(map(hop, text.split(",")))


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("lab.splices", __doc__ or "", _EPILOG)
    add_data_options(parser)
    parser.add_argument("--hops", type=_hops, default=(4.0, 2.0, 1.0, 0.5), metavar="S,S", help="default: 4,2,1,0.5")
    parser.add_argument("--parts", type=_lengths, default=(1.0, 2.0, 4.0, 8.0), metavar="S,S", help="default: 1,2,4,8")
    parser.add_argument("--seconds", type=amount, default=24.0, metavar="S", help="of a recording (%(default)s)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of places and choices (%(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not max(arguments.parts) + 4.0 <= arguments.seconds <= _MOST_S:
        parser.error(f"--seconds must be 4 more than the longest part, and at most {_MOST_S:g}")

    def command() -> None:
        model, recordings, outcomes = measure(arguments)
        spliced = [each for each in recordings if each.end_s]
        same = sum(each.same_person for each in spliced)
        people = len({each.subject for each in recordings})
        console = Console(highlight=False, soft_wrap=True, markup=False)
        console.print(table(outcomes))
        console.print(
            f"\n{model}; {len(recordings)} recordings of {arguments.seconds:g} s of {people} people, "
            f"{len(spliced)} of them with a spoofed part, {same} of these in the same person's name"
        )

    run(command, kept="nothing is kept")


if __name__ == "__main__":
    main()

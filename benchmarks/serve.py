"""End to end beside the bare engine: throughput, latency, memory and start-up time of the whole service over gRPC.

Short turns of the bare engine and of the service alternate, and each turn of the service is compared with the two
turns of the bare engine around it, so that changes in the machine's speed do not affect the ratio.

Usage: python -m benchmarks.serve [--quick]
"""

import argparse
import asyncio
import itertools
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from benchmarks.bare_engine import BareEngine, Turn, bare_engine
from benchmarks.inputs import WINDOW_SECONDS
from benchmarks.load import Phase, caller_of, closed_loop
from benchmarks.processes import DECODING, RUNNER, CpuByKind, Memory, memory, ready
from benchmarks.random_models import save_dinov2_base, save_wavlm_base
from benchmarks.tables import load_average, machine, markdown_table, percentile, say
from models.catalog import BUNDLED
from models.info import Task
from scripts.local_service import LocalService

_SAVERS: dict[Task, Callable[[Path], None]] = {"voice": save_wavlm_base, "face": save_dinov2_base}
_RUN_IN = 48
"""Calls before anything is measured: BentoML's batcher learns from its first dozens."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        rounds: turns of the service for each row.
        turn_s: seconds that a turn is to take, about.
        concurrency: callers at a time, a row for each.
        long_s: length of the long recording in seconds.
    """

    rounds: int
    turn_s: float
    concurrency: tuple[int, ...]
    long_s: int


@dataclass
class Row:
    """One kind of call, and its results.

    Attributes:
        seconds: length of a recording; not used for photos.
        items: windows or photos in a call.
        phases: turns of the service, in order.
        bare: for each of them the mean rate of the bare engine just before and just after, items per second.
        cpu_s: for each of them the CPU time of each server.
    """

    name: str
    concurrency: int
    seconds: int
    items: int
    phases: list[Phase] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    cpu_s: list[dict[str, float]] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Items per second of each turn."""
        return [len(phase.latencies_s) * self.items / phase.wall_s for phase in self.phases]

    @property
    def ratios(self) -> list[float]:
        """Throughput over the bare engine's, for each turn."""
        return [rate / bare for rate, bare in zip(self.rates, self.bare, strict=True)]

    @property
    def latencies_s(self) -> list[float]:
        """Of all calls of all turns."""
        return [latency for phase in self.phases for latency in phase.latencies_s]


def turn_items(rate: float, turn_s: float, multiple: int) -> int:
    """Items of a turn that takes about `turn_s` seconds: a multiple of `multiple`, at least one."""
    return max(1, round(rate * turn_s / multiple)) * multiple


def rows_of(task: Task, sizes: Sizes) -> list[Row]:
    """The kinds of call that are measured."""
    if task == "face":
        return [Row("photo", concurrency, 0, 1) for concurrency in sizes.concurrency]
    short = [Row(f"{WINDOW_SECONDS} s", concurrency, WINDOW_SECONDS, 1) for concurrency in sizes.concurrency]
    return [*short, Row(f"{sizes.long_s} s", 1, sizes.long_s, -(-sizes.long_s // WINDOW_SECONDS))]


def throughput_table(rows: Sequence[Row]) -> str:
    """Rates, ratio and latency of each row; medians of the turns."""
    head = ("call", "callers", "bare/s", "service/s", "service/bare", "(least..most)", "p50 ms", "p99 ms")
    return markdown_table(
        head,
        [
            (
                row.name,
                str(row.concurrency),
                f"{statistics.median(row.bare):.2f}",
                f"{statistics.median(row.rates):.2f}",
                f"{statistics.median(row.ratios):.3f}",
                f"{min(row.ratios):.3f}..{max(row.ratios):.3f}",
                f"{1000 * percentile(row.latencies_s, 50):.0f}",
                f"{1000 * percentile(row.latencies_s, 99):.0f}",
            )
            for row in rows
        ],
    )


def cpu_table(task: Task, rows: Sequence[Row], bare: Sequence[Turn], items: int) -> str:
    """Milliseconds of CPU for an item, by process."""
    alone = 1000 * sum(turn.cpu_s for turn in bare) / (items * len(bare))
    lines = []
    for row in rows:
        count = sum(len(phase.latencies_s) for phase in row.phases) * row.items
        processes = (RUNNER[task], "service", DECODING)
        spent = [1000 * sum(times[name] for times in row.cpu_s) / count for name in processes]
        client = 1000 * sum(phase.cpu_s for phase in row.phases) / count
        lines.append((row.name, str(row.concurrency), *(f"{each:.1f}" for each in (alone, *spent, client))))
    return markdown_table(("call", "callers", "bare ms", "runner ms", "service ms", "decoding ms", "client ms"), lines)


def start_table(cold: dict[str, float], warm: dict[str, float]) -> str:
    """Seconds until each server responds."""
    return markdown_table(
        ("answers after", "first start s", "later starts s"),
        [(name, f"{cold[name]:.1f}", f"{warm[name]:.1f}") for name in cold],
    )


def memory_table(before: dict[str, Memory], after: dict[str, Memory]) -> str:
    """MiB of each process when ready, and after all the calls."""

    def mib(value: int | None) -> str:
        return "-" if value is None else f"{value / 2**20:.0f}"

    return markdown_table(
        ("process", "RSS MiB", "PSS MiB", "RSS after calls", "PSS after calls"),
        [
            (name, mib(held.rss), mib(held.pss), mib(after[name].rss), mib(after[name].pss))
            for name, held in before.items()
        ],
    )


async def measure(service: LocalService, task: Task, engine: BareEngine, rows: Sequence[Row], sizes: Sizes) -> str:
    """Takes turns between the bare engine and every row, fills the rows, and returns their tables."""
    count = turn_items(engine.rate, sizes.turn_s, max(8, engine.batch))
    numbers = itertools.count()
    turns: list[Turn] = []
    meter = CpuByKind(service)
    async with grpc.aio.insecure_channel(service.address) as channel:
        calls = [caller_of(task, channel, row.seconds) for row in rows]
        await closed_loop(calls[0], numbers, _RUN_IN, 8)
        turns.append(engine.run(count))
        for _ in range(sizes.rounds):
            for row, call in zip(rows, calls, strict=True):
                used = meter.look()
                calls_in_turn = max(row.concurrency, -(-count // row.items))
                row.phases.append(await closed_loop(call, numbers, calls_in_turn, row.concurrency))
                row.cpu_s.append({name: spent - used[name] for name, spent in meter.look().items()})
                turns.append(engine.run(count))
                row.bare.append(statistics.mean(count / turn.wall_s for turn in turns[-2:]))
    return f"{throughput_table(rows)}\n\nCPU time for an item:\n\n{cpu_table(task, rows, turns, count)}"


def measure_service(title: str, references: dict[Task, str], tasks: Sequence[Task], folder: Path, sizes: Sizes) -> None:
    """Starts the service twice, measures it, prints its tables.

    Args:
        title: what to call the pair of models.
        references: the model of each runner.
        tasks: which of them to call.
        folder: without compiled models yet.
        sizes: how much to measure.
    """
    models_dir = folder / "models"
    env = {
        "BONAFIDE_MODELS_DIR": str(models_dir),
        "BONAFIDE_VOICE_MODEL": references["voice"],
        "BONAFIDE_FACE_MODEL": references["face"],
        "BONAFIDE_OFFLINE": "true",
        "BONAFIDE_LOG_FORMAT": "json",
    }
    with ready(folder, env) as (_, cold):
        pass
    with ready(folder, env) as (service, warm):
        before = memory(service)
        for task in tasks:
            with bare_engine(task, references[task], models_dir) as engine:
                rows = rows_of(task, sizes)
                tables = asyncio.run(measure(service, task, engine, rows, sizes))
                info = engine.info
                say(
                    f"### {title}: {task}\n\n{info['architecture']}, {info['engine']} {info['precision']} on "
                    f"{info['device']}; the bare engine at its best batch of {engine.batch}\n\n{tables}\n"
                )
        after = memory(service)
    say(f"### {title}: processes\n\n{start_table(cold, warm)}\n\n{memory_table(before, after)}\n")


def base_models(folder: Path) -> dict[Task, str]:
    """Saves both full-size random checkpoints, in a process of its own, whose exit frees the memory of transformers."""
    references: dict[Task, str] = {"voice": str(folder / "wavlm-base"), "face": str(folder / "dinov2-base")}
    for task, reference in references.items():
        saving = multiprocessing.get_context("spawn").Process(target=_SAVERS[task], args=(Path(reference),))
        saving.start()
        saving.join()
        if saving.exitcode:
            raise RuntimeError(f"the random {task} model could not be saved")
    return references


def arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few short turns: a functional check")
    parser.add_argument("--models", nargs="+", choices=("base", "bundled"), default=("base", "bundled"))
    parser.add_argument("--tasks", nargs="+", choices=tuple(RUNNER), default=tuple(RUNNER))
    parser.add_argument("--concurrency", nargs="+", type=int, default=(1, 8, 32), help="callers at a time")
    parser.add_argument("--rounds", type=int, help="turns of the service for each row (default: 5, quick: 2)")
    parser.add_argument("--turn-seconds", type=float, help="length of a turn, about (default: 8, quick: 2)")
    parser.add_argument("--long-seconds", type=int, default=60, help="length of the long recording")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    chosen = arguments(command_line)
    sizes = Sizes(
        rounds=chosen.rounds or (2 if chosen.quick else 5),
        turn_s=chosen.turn_seconds or (2.0 if chosen.quick else 8.0),
        concurrency=tuple(chosen.concurrency),
        long_s=chosen.long_seconds,
    )
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    with tempfile.TemporaryDirectory() as temporary:
        if "base" in chosen.models:
            folder = Path(temporary) / "base"
            measure_service("Base size, random weights", base_models(folder), chosen.tasks, folder, sizes)
        if "bundled" in chosen.models:
            missing = [task for task in RUNNER if not (BUNDLED / task / "config.json").is_file()]
            if missing:
                say(f"The bundled models are not measured: there is none for {' and '.join(missing)}.\n")
            else:
                folder = Path(temporary) / "bundled"
                folder.mkdir()
                references: dict[Task, str] = {"voice": "bundled", "face": "bundled"}
                measure_service("Bundled demonstration models", references, chosen.tasks, folder, sizes)
    say(f"Load average at the end: {load_average()}")


if __name__ == "__main__":
    main(sys.argv[1:])

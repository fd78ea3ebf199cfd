"""Pace of an archive scan on one machine: recordings of 4 to 8 s in a real MinIO, the voice model of the settings.

Beside it, before and after each scan, the bare engine scores as many windows. On a machine with other work, the
processor time of a window says more than the clock. With `--kill` instead, one scan loses a process that reads at a
quarter and its driver at half; the same command goes on, and MinIO is down for a minute at three quarters. At the end
every key must have exactly one row.

Usage: python -m benchmarks.scan [--recordings 1000] [--only] [--base] [--kill]
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from minio import Minio

from benchmarks.bare_engine import BareEngine, Turn, bare_engine
from benchmarks.inputs import SAMPLE_RATE, wav_file
from benchmarks.live import speech
from benchmarks.memory import CpuMeter
from benchmarks.random_models import save_wavlm_base
from benchmarks.tables import load_average, machine, markdown_table, say
from bonafide.settings import Settings
from scan.manifest import read_manifest
from scan.result import read_table
from scan.result_storage import BucketStorage
from tests.servers import ACCESS_KEY, ROOT, SECRET_KEY, Server, minio_client, minio_settings, start_minio

BUCKET = "archive"
_SIZES = (100, 1_000, 10_000)
_ORIGINALS = 300
_SECONDS = (4, 8)
_LOOK_S = 0.5
_DOWN_S = 60.0
_LEAST_S = 15.0
"""A shorter scan has no pace: what was decoded while the model was loaded is scored at once."""
_HOUR_S = 3600.0
_KINDS = {
    "scoring": ("MapWorker(MapBatches(Scorer))",),
    "reading": ("MapBatches(decoded)",),
    "decoding": ("bonafide.decoders",),
    "driver": ("-m scan",),
    "rest of Ray": ("",),
}
"""What the processes of a scan do, by their titles: Ray renames a worker when it begins something."""


class Judged(NamedTuple):
    """What a result says: windows of each recording by the time of its verdict, seconds since 1970, in order."""

    rows: list[tuple[float, int]]

    @property
    def windows(self) -> int:
        """Of all recordings."""
        return sum(windows for _, windows in self.rows)

    @property
    def has_pace(self) -> bool:
        """Whether it took long enough."""
        return self.rows[-1][0] - self.rows[len(self.rows) // 10][0] > _LEAST_S

    def pace(self) -> tuple[float, float]:
        """Recordings and windows a second, from the first tenth of the recordings to the last of them."""
        first = len(self.rows) // 10
        spent = self.rows[-1][0] - self.rows[first][0]
        return (len(self.rows) - first - 1) / spent, sum(windows for _, windows in self.rows[first + 1 :]) / spent


class Measured(NamedTuple):
    """A scan and the bare engine beside it.

    Attributes:
        recordings: judged ones.
        judged: when.
        start_s: from the command to the first verdict.
        wall_s: of the command.
        cpu: seconds of processor time until each moment, by what the process does.
        engine: cost of a window, before and after.
    """

    recordings: int
    judged: Judged
    start_s: float
    wall_s: float
    cpu: list[tuple[float, dict[str, float]]]
    engine: Sequence[Turn]

    def cpu_of_window(self) -> dict[str, float]:
        """Seconds of processor time of a window by what the process does, between the first tenth and the last."""
        rows = self.judged.rows
        first = len(rows) // 10
        begins, ends = _nearest(self.cpu, rows[first][0]), _nearest(self.cpu, rows[-1][0])
        windows = sum(windows for judged_at, windows in rows if begins[0] < judged_at <= ends[0] + _LOOK_S)
        return {kind: (ends[1][kind] - begins[1][kind]) / windows for kind in _KINDS}


def write_recordings(client: Minio, prefix: str, count: int) -> None:
    """Recordings of 4 to 8 s at 16 kHz: a few hundred stretches of the sample's voice, altered in their lowest bits."""
    sounds = speech()
    rng = np.random.default_rng(0)
    stretches = []
    for index in range(min(count, _ORIGINALS)):
        sound, length = sounds[index % len(sounds)], int(SAMPLE_RATE * rng.uniform(*_SECONDS))
        start = rng.integers(0, max(1, len(sound) - length))
        stretches.append(np.resize(sound[start:], length))

    def put(index: int) -> None:
        sound = stretches[index % len(stretches)]
        content = wav_file(sound ^ np.random.default_rng(index).integers(0, 2, len(sound), np.int16))
        client.put_object(BUCKET, f"{prefix}{index:06}.wav", io.BytesIO(content), len(content))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(count)))


class Cpu:
    """Processor time of a scan, by what its processes do."""

    def __init__(self, pid: int) -> None:
        self._meter = CpuMeter(pid)
        self._kinds: dict[psutil.Process, str] = {}
        self.seen: list[tuple[float, dict[str, float]]] = []

    def look(self) -> None:
        """Adds what was spent until now."""
        spent = dict.fromkeys(_KINDS, 0.0)
        for process, seconds in self._meter.by_process().items():
            if self._kinds.get(process, "rest of Ray") == "rest of Ray":
                with suppress(psutil.NoSuchProcess):  # its time counts as what it did
                    self._kinds[process] = _kind(" ".join(process.cmdline()))
            spent[self._kinds.get(process, "rest of Ray")] += seconds
        self.seen.append((time.time(), spent))


@contextmanager
def scanning(minio: Server, prefix: str, log: Path, settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """The command in a process."""
    keys = {
        "MINIO_ACCESS_KEY": ACCESS_KEY,
        "MINIO_SECRET_KEY": SECRET_KEY,
        "MINIO_ENDPOINT": minio.address,
        "BONAFIDE_VOICE_MODEL": settings.voice_model,
        "BONAFIDE_MODELS_DIR": str(settings.models_dir),
    }
    command = [sys.executable, "-m", "scan", f"s3://{BUCKET}/{prefix}", "--out", f"s3://{BUCKET}/result/{prefix}"]
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **keys}, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def finished(process: "subprocess.Popen[bytes]", log: Path) -> list[tuple[float, dict[str, float]]]:
    """Waits for its end; returns its processor time until each moment.

    Raises:
        RuntimeError: it failed; contains the end of its log.
    """
    cpu = Cpu(process.pid)
    while process.poll() is None:
        cpu.look()
        time.sleep(_LOOK_S)
    if process.returncode:
        raise RuntimeError(f"the scan failed:\n{log.read_text()[-4000:]}")
    return cpu.seen


def judged(storage: BucketStorage, expected: int | None = None) -> Judged:
    """What the result says now.

    Raises:
        RuntimeError: a key has no row, or several.
    """
    manifest = read_manifest(storage)
    parts = () if manifest is None else manifest.parts
    rows = [
        row
        for part in parts
        for row in read_table(storage, part.recordings, ["key", "scanned_at", "windows"]).to_pylist()
    ]
    keys = Counter(row["key"] for row in rows)
    if expected is not None and (len(keys) != expected or set(keys.values()) != {1}):
        raise RuntimeError(f"{len(keys)} keys of {expected} have rows, {len(rows)} in all")
    return Judged(sorted((row["scanned_at"].timestamp(), row["windows"] or 0) for row in rows))


def measured(minio: Server, engine: BareEngine, count: int, log: Path, settings: Settings) -> Measured:
    """Scans that many recordings once."""
    prefix = f"{count}/"
    write_recordings(minio_client(minio), prefix, count)
    windows = 2 * min(count, 500)
    before = engine.run(windows)
    began = time.time()
    with scanning(minio, prefix, log, settings) as process:
        cpu = finished(process, log)
    wall_s = time.time() - began
    after = engine.run(windows)
    found = judged(_storage(minio, prefix), count)
    turns = [Turn(turn.wall_s / windows, turn.cpu_s / windows) for turn in (before, after)]
    return Measured(count, found, found.rows[0][0] - began, wall_s, cpu, turns)


def killed(minio: Server, count: int, log: Path, settings: Settings) -> str:
    """Kills a worker, the driver and the storage of a scan, and goes on; what that cost, in a sentence.

    Raises:
        RuntimeError: the scan ended too early or failed, or a key has no row, or several.
    """
    prefix = "killed/"
    write_recordings(minio_client(minio), prefix, count)
    storage = _storage(minio, prefix)
    began = time.monotonic()

    def until(process: "subprocess.Popen[bytes]", share: float) -> int:
        while (committed := len(judged(storage).rows)) < share * count:
            if process.poll() is not None:
                raise RuntimeError(f"the scan has ended:\n{log.read_text()[-4000:]}")
            time.sleep(_LOOK_S)
        return committed

    with scanning(minio, prefix, log, settings) as process:
        until(process, 1 / 4)
        _reader(process.pid).kill()
        kept = until(process, 1 / 2)
        process.kill()
    at_s = time.monotonic() - began
    with scanning(minio, prefix, log, settings) as process:
        until(process, 3 / 4)
        minio.kill()
        time.sleep(_DOWN_S)
        minio.start()
        finished(process, log)
    judged(storage, count)
    return (
        f"A process that reads was killed at a quarter, the driver after {at_s:.0f} s with {kept} of {count} "
        f"committed; the same command went on, MinIO was down for {_DOWN_S:.0f} s, and all were there after "
        f"{time.monotonic() - began:.0f} s, each key once."
    )


def _reader(pid: int) -> psutil.Process:
    """One that reads for the scan of this process, as soon as there is one."""
    while True:
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if _kind(" ".join(process.cmdline())) == "reading":
                    return process
        time.sleep(_LOOK_S / 10)


def table(rows: Sequence[Measured]) -> str:
    """A row for each scan."""
    head = ("recordings", "windows", "start s", "all s", "recordings/s", "windows/s", "engine/s", "ratio", "ms CPU")
    return markdown_table((*head, "engine ms CPU", "CPU ratio"), [_cells(row) for row in rows])


def _cells(row: Measured) -> tuple[str, ...]:
    known = (str(row.recordings), str(row.judged.windows), f"{row.start_s:.0f}", f"{row.wall_s:.0f}")
    engine_s = 1 / statistics.mean(turn.wall_s for turn in row.engine)
    engine_cpu = statistics.mean(turn.cpu_s for turn in row.engine)
    pace, cost = ("-", "-"), "-"
    ratio, cpu_ratio = "-", "-"
    if row.judged.has_pace:
        recordings_s, windows_s = row.judged.pace()
        cpu = sum(row.cpu_of_window().values())
        pace, cost = (f"{recordings_s:.1f}", f"{windows_s:.1f}"), f"{1000 * cpu:.1f}"
        ratio, cpu_ratio = f"{windows_s / engine_s:.2f}", f"{engine_cpu / cpu:.2f}"
    return (*known, *pace, f"{engine_s:.1f}", ratio, cost, f"{1000 * engine_cpu:.1f}", cpu_ratio)


def million_hours(windows_s: float) -> str:
    """How long a million hours would take at that pace: an estimate, never measured."""
    windows = 1_000_000 * _HOUR_S / 4
    days = windows / windows_s / 86_400
    return (
        f"Arithmetic, not measured: a million hours are {windows / 1e6:.0f} million windows of 4 s, which is "
        f"{days:,.0f} days of this machine at {windows_s:.1f} windows a second."
    )


def spent(row: Measured) -> str:
    """Where the processor time of a window goes."""
    return ", ".join(f"{kind} {1000 * seconds:.1f}" for kind, seconds in row.cpu_of_window().items())


def _kind(title: str) -> str:
    return next(kind for kind, titles in _KINDS.items() if any(each in title for each in titles))


def _nearest(seen: Sequence[tuple[float, dict[str, float]]], moment: float) -> tuple[float, dict[str, float]]:
    return min(seen, key=lambda each: abs(each[0] - moment))


def _storage(minio: Server, prefix: str) -> BucketStorage:
    return BucketStorage(BUCKET, f"result/{prefix}", minio_settings(minio.address), 0.0)


def _with_base(folder: Path) -> Settings:
    save_wavlm_base(folder / "wavlm-base")
    return Settings(voice_model=str(folder / "wavlm-base"), models_dir=folder / "models")


def arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=__doc__)
    parser.add_argument("--recordings", type=int, default=1_000, help="of the largest scan (%(default)s)")
    parser.add_argument("--only", action="store_true", help="no smaller ones before it")
    parser.add_argument("--base", action="store_true", help="with a WavLM-base of random weights")
    parser.add_argument("--kill", action="store_true", help="only a scan of which parts are killed")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    chosen = arguments(command_line)
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    smaller = () if chosen.only else (size for size in _SIZES if size < chosen.recordings)
    sizes = [*smaller, chosen.recordings]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = _with_base(folder / "base") if chosen.base else Settings()
        log, minio = folder / "log", start_minio(folder)
        try:
            minio_client(minio).make_bucket(BUCKET)
            if chosen.kill:
                say(killed(minio, chosen.recordings, log, settings))
                return
            with bare_engine("voice", settings.voice_model, settings.models_dir) as engine:
                rows = [measured(minio, engine, size, log, settings) for size in sizes]
                about = f"{engine.info['name']}, {engine.info['engine']} {engine.info['precision']}"
                say(f"{about}; the engine's batch {engine.batch}\n\n{table(rows)}\n")
            if not rows[-1].judged.has_pace:
                say("Too few recordings for a pace.")
            else:
                say(f"ms of processor time of a window, {rows[-1].recordings} recordings: {spent(rows[-1])}\n")
                say(million_hours(rows[-1].judged.pace()[1]))
        finally:
            minio.stop()
    say(f"\nLoad average at the end: {load_average()}")


if __name__ == "__main__":
    main(sys.argv[1:])

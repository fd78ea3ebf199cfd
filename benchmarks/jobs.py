"""Jobs behind live calls: delays of live windows without and with a job, in turns of one run, and the job's pace.

The service runs in its own processes with the bundled models, objects in a folder and jobs in SQLite. Each recording
differs in its bits, so that none comes from the cache. At the end every key must have exactly one result.

Usage: python -m benchmarks.jobs [--recordings 10000] [--sockets 4] [--turns 3] [--seconds 10]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import wav_file
from benchmarks.live import measure, speech
from benchmarks.processes import ready
from benchmarks.tables import load_average, machine, markdown_table, percentile, say
from benchmarks.voices import LiveLoad
from scripts.local_service import LocalService

_BUCKET = "archive"
_SECONDS = 4
_MOST_A_SECOND = 60
"""Recordings of a turn, for each of its seconds: more than can be judged, so that the job outlasts it."""


def write_recordings(folder: Path, count: int, seed: int) -> None:
    """Recordings of 4 s at 16 kHz from the sample's voice, each altered in its lowest bits."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    sounds = [sound[: 16_000 * _SECONDS] for sound in speech()]
    for index in range(count):
        sound = sounds[index % len(sounds)] ^ rng.integers(0, 2, 16_000 * _SECONDS, np.int16)
        (folder / f"{index:06}.wav").write_bytes(wav_file(sound))


def asked(service: LocalService, method: str, path: str, body: object = None) -> bytes:
    """The body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{service.url}{path}", data, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def job_of(service: LocalService, job_id: str) -> dict[str, Any]:
    """How far a job is."""
    job: dict[str, Any] = json.loads(asked(service, "GET", f"/jobs/{job_id}"))
    return job


def arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--recordings", type=int, default=10_000, help="of the job (%(default)s)")
    parser.add_argument("--sockets", type=int, default=4, help="live voices at a time (%(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="of each, without and with the job (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured in each turn (%(default)s)")
    parser.add_argument("--only-live", action="store_true", help="leave out the job to its end, of --recordings")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    chosen = arguments(command_line)
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bucket = folder / "objects" / _BUCKET
        each_turn = int(_MOST_A_SECOND * (chosen.seconds + 5))
        for turn in range(chosen.turns):
            write_recordings(bucket / f"turn{turn}", each_turn, seed=turn)
        if not chosen.only_live:
            write_recordings(bucket / "whole", chosen.recordings, seed=chosen.turns)
        env = {
            "BONAFIDE_JOBS": "true",
            "BONAFIDE_JOBS_DB": str(folder / "jobs.db"),
            "BONAFIDE_JOBS_MAX_KEYS": str(max(chosen.recordings, each_turn)),
            "BONAFIDE_OBJECTS_DIR": str(folder / "objects"),
            "BONAFIDE_OFFLINE": "true",
            "BONAFIDE_LOG_FORMAT": "json",
        }
        with ready(folder, env) as (service, _):
            _run(service, chosen)
    say(f"Load average at the end: {load_average()}")


def _run(service: LocalService, chosen: argparse.Namespace) -> None:
    sounds = speech()
    load = LiveLoad(chosen.sockets, run_in_s=2.0, seconds=chosen.seconds)
    measure(service, load, sounds)  # BentoML's batcher learns from its first dozens
    delays: dict[bool, list[list[float]]] = {False: [], True: []}
    judged, spent = 0, 0.0
    for turn in range(chosen.turns):
        delays[False].append(measure(service, load, sounds).result.delays_s)
        job = json.loads(asked(service, "POST", "/jobs", {"bucket": _BUCKET, "prefix": f"turn{turn}/"}))
        began = time.monotonic()
        delays[True].append(measure(service, load, sounds).result.delays_s)
        found = job_of(service, job["id"])
        judged, spent = judged + found["done"], spent + time.monotonic() - began
        still = found["state"] == "running"
        asked(service, "DELETE", f"/jobs/{job['id']}")
        if not still:
            raise RuntimeError("the job ended before its turn")
    p99 = {busy: statistics.median(percentile(each, 99) for each in turns) for busy, turns in delays.items()}
    rows = [
        (
            "with a job" if busy else "idle",
            f"{1000 * statistics.median(statistics.median(each) for each in turns):.0f}",
            f"{1000 * p99[busy]:.0f}",
        )
        for busy, turns in delays.items()
    ]
    say(markdown_table(("live windows", "p50 ms", "p99 ms"), rows))
    say(f"\np99 with a job is {p99[True] / p99[False]:.2f} times that without (medians of {chosen.turns} turns); ")
    say(f"the job judged {judged / spent:.1f} recordings of {_SECONDS} s a second beside {chosen.sockets} voices.")
    if not chosen.only_live:
        _whole(service, chosen.recordings)


def _whole(service: LocalService, count: int) -> None:
    """A job to its end, without live voices."""
    began = time.monotonic()
    job = json.loads(asked(service, "POST", "/jobs", {"bucket": _BUCKET, "prefix": "whole/"}))
    while job["state"] not in ("done", "cancelled"):
        time.sleep(1.0)
        job = job_of(service, job["id"])
    wall_s = time.monotonic() - began
    lines = asked(service, "GET", f"/jobs/{job['id']}/results").splitlines()
    keys = Counter(json.loads(line)["key"] for line in lines)
    if len(keys) != count or set(keys.values()) != {1}:
        raise RuntimeError("a key has no result, or several")
    say(f"alone: {count} recordings in {wall_s:.0f} s, {count / wall_s:.1f} a second; each has one result.")


if __name__ == "__main__":
    main(sys.argv[1:])
